TIMEFORMAT='real %R user %U sys %S'
time .venv/bin/python -m pytest -p no:cacheprovider -q tests/netns/test_counters.py | tail -1
