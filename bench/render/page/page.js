"use strict";
// Draws the pictures of the page, and sorts and filters its tables. Texts of run files are only ever
// put into the page as text.

(() => {
  const told = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 700px)");
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;

  function showTip(_handler, event, _item, text) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 8))}px`;
    const above = event.clientY + box.height + 20 > innerHeight;
    tip.style.top = `${Math.max(4, above ? event.clientY - box.height - 10 : event.clientY + 14)}px`;
  }

  class Picture {
    constructor(element, variants) {
      this.element = element;
      this.variants = variants;
      this.plot = element.querySelector(".plot");
      this.choice = element.querySelector("select");
      this.isNear = false;
      if (this.choice) this.choice.addEventListener("change", () => this.draw());
      for (const button of element.querySelectorAll(".save button")) {
        button.addEventListener("click", () => this.save(button.dataset.form));
        button.hidden = false;
      }
      this.reserve();
    }

    get variant() {
      return this.variants[this.choice ? Number(this.choice.value) : 0];
    }

    // Its height before it is drawn, so that the page does not jump.
    reserve() {
      this.plot.style.minHeight = "200px";
    }

    async draw() {
      if (!this.isNear) return;
      const variant = this.variant;
      this.element.querySelector("figcaption").textContent = variant.caption;
      this.plot.setAttribute("aria-label", `${variant.title}. ${variant.caption}`);
      const spec = {
        ...(narrow.matches ? variant.narrow : variant.wide),
        datasets: variant.datasets,
      };
      const place = document.createElement("div");
      const turn = (this.turn = (this.turn || 0) + 1);
      const drawn = await vegaEmbed(place, spec, {
        actions: false,
        config: told.themes[dark.matches ? "dark" : "light"],
        defaultStyle: false,
        mode: "vega-lite",
        renderer: "svg",
        tooltip: showTip,
      });
      if (turn !== this.turn) return drawn.finalize(); // another one was chosen meanwhile
      if (this.drawn) this.drawn.finalize();
      this.drawn = drawn;
      const svg = place.querySelector("svg");
      svg.setAttribute("aria-hidden", "true"); // the figure has a name and a caption
      this.plot.replaceChildren(...place.childNodes);
      this.plot.style.minHeight = "";
      this.element.dataset.drawn = "yes";
    }

    async save(form) {
      const link = document.createElement("a");
      link.href = await this.drawn.view.toImageURL(form, form === "png" ? 2 : 1);
      link.download = `${this.variant.title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.${form}`;
      link.click();
    }
  }

  const elements = [...document.querySelectorAll("figure.picture")];
  const pictures = elements.map((element, n) => new Picture(element, told.figures[n]));
  const redraw = () => pictures.forEach((picture) => picture.draw());
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);

  // What is far away is drawn when it comes near: a page of many pictures is there at once.
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        watcher.unobserve(entry.target);
        const picture = pictures[elements.indexOf(entry.target)];
        picture.isNear = true;
        picture.draw();
      }
    },
    { rootMargin: "300px" },
  );
  elements.forEach((element) => watcher.observe(element));
  const drawAll = () => {
    pictures.forEach((picture) => (picture.isNear = true));
    redraw();
  };
  addEventListener("beforeprint", drawAll);

  // Tables

  const UNITS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

  function numberIn(text) {
    const found = /^\s*([-+]?\d[\d.]*)([kMGT]?)/.exec(text);
    return found ? Number(found[1]) * (UNITS[found[2]] || 1) : NaN;
  }

  // Numbers by size, other texts by their letters; what has neither stands at the end.
  function compare(a, b, way) {
    const [x, y] = [numberIn(a), numberIn(b)];
    if (Number.isNaN(x) && Number.isNaN(y)) {
      if ((a === "-") !== (b === "-")) return a === "-" ? 1 : -1;
      return way * a.localeCompare(b, undefined, { numeric: true });
    }
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return way * (x - y);
  }

  function sort(table, heading) {
    const way = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const headings = [...heading.parentElement.children];
    const column = headings.indexOf(heading);
    headings.forEach((each) => each.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [row.cells[column].textContent, row]);
    keyed.sort((a, b) => compare(a[0], b[0], way));
    body.append(...keyed.map(([, row]) => row));
  }

  function filter(table, words, count) {
    const rows = [...table.tBodies[0].rows];
    let shown = 0;
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  }

  for (const place of document.querySelectorAll("div.table")) {
    const table = place.querySelector("table");
    for (const heading of table.tHead.rows[0].cells) {
      heading.querySelector("button").addEventListener("click", () => sort(table, heading));
    }
    const input = place.querySelector("input");
    const count = place.querySelector(".count");
    input.addEventListener("input", () => {
      filter(table, input.value.toLowerCase().split(/\s+/).filter(Boolean), count);
    });
  }
  document.documentElement.dataset.ready = "yes";
})();
