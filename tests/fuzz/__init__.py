"""Any bytes as a matrix or as a run file: what reads them answers, or says in a line what is wrong.

``make fuzz`` feeds them what atheris makes of the corpus and learns from the lines that it reaches;
tests/test_fuzz.py feeds them the corpus alone. An input that breaks something belongs there.
"""
