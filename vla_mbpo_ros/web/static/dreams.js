// A dream as strips: for each sample a bar of success, and for each view the pictures from when it began to its end.
//
//   sample 1   ▮▮▮▮▮▮▯▯ 83 %
//              began   after 1   after 2      what came, after 1
//     head       ▢        ▢         ▢              ▢
//     wrist      ▢        ▢         ▢              ▢

import { byId, make, percent, say, words } from "./dom.js";
import { dreamAddress, truthAddress } from "./net.js";

export class Dreams {
  /** `pick(key, sample, chunk)` is called when a picture or a tab is chosen; sample and chunk may be undefined. */
  constructor(pick) {
    this.pick = pick;
    this.form = ""; // what the elements were built for
    this.samples = []; // elements of each sample
  }

  draw(dreams, dream, sample, chunk) {
    this.drawTabs(dreams, dream);
    say(byId("about"), dream ? about(dream) : "Nothing has been imagined yet.");
    say(byId("verdict"), dream ? dream.verdict : "");
    const form = dream ? [dream.key, dream.views, dream.chunks, dream.success.length, dream.has_truth].join("|") : "";
    if (form !== this.form) this.build(dream);
    this.form = form;
    this.samples.forEach((elements, index) => this.drawSample(dream, index, elements, sample, chunk));
  }

  drawTabs(dreams, dream) {
    const form = JSON.stringify([dreams.map((each) => each.key), dream && dream.key]);
    if (byId("tabs").dataset.form === form) return;
    byId("tabs").dataset.form = form;
    const focused = document.activeElement && document.activeElement.dataset.dream;
    byId("tabs").replaceChildren(
      ...(dreams.length > 1 ? dreams : []).map((each) => {
        const tab = make("button", { type: "button", textContent: each.title });
        tab.dataset.dream = each.key;
        tab.setAttribute("aria-pressed", String(each.key === dream.key));
        tab.addEventListener("click", () => this.pick(each.key));
        return tab;
      }),
    );
    if (focused) [...byId("tabs").children].find((tab) => tab.dataset.dream === focused)?.focus();
  }

  build(dream) {
    this.samples = dream ? dream.success.map((_, index) => buildSample(dream, index, this.pick)) : [];
    byId("samples-list").replaceChildren(...this.samples.map((each) => each.root));
  }

  drawSample(dream, index, { root, meter, fill, value, cells }, sample, chunk) {
    const chances = dream.success[index];
    const at = Math.min(chunk || chances.length, chances.length); // live shows the end
    const chance = at > 0 ? chances[at - 1] : undefined;
    root.classList.toggle("chosen", index === sample && chunk !== null);
    say(value, at > 0 ? percent(chance) : "…");
    meter.setAttribute("aria-valuenow", chance ?? 0);
    meter.setAttribute("aria-valuetext", `${value.textContent}, after chunk ${at}`);
    fill.style.width = `${100 * (chance ?? 0)}%`;
    fill.dataset.level = chance >= 0.7 ? "high" : chance >= 0.3 ? "middle" : "low";
    for (const cell of cells) {
      const known = cell.chunk <= chances.length;
      if (known && !cell.image.src) cell.image.src = dreamAddress(dream.key, index, cell.chunk, cell.view);
      cell.button.disabled = !known;
      cell.button.setAttribute("aria-pressed", String(index === sample && cell.chunk === chunk));
      if (cell.chance) say(cell.chance, known ? percent(chances[cell.chunk - 1]) : "");
    }
  }
}

function about(dream) {
  const chunks = dream.chunks === 1 ? "one chunk" : `${dream.chunks} chunks`;
  return `${dream.title}, ${chunks} · ${dream.version} · ${dream.elapsed_s.toFixed(2)} s`;
}

function buildSample(dream, index, pick) {
  const fill = make("span", { className: "fill" });
  const meter = make("div", { className: "meter" }, fill);
  meter.setAttribute("role", "meter");
  meter.setAttribute("aria-valuemin", "0");
  meter.setAttribute("aria-valuemax", "1");
  meter.setAttribute("aria-label", `chance of success, sample ${index + 1}`);
  const value = make("strong", { className: "value" });
  const title = make("h3", { textContent: dream.success.length > 1 ? `Sample ${index + 1}` : "Success" });
  const head = make("div", { className: "sample-head" }, title, meter, value);
  const cells = [];
  const strips = make("div", { className: "strips" });
  dream.views.forEach((view, row) => {
    const strip = make("div", { className: "strip" }, make("span", { className: "label", textContent: words(view) }));
    for (let chunk = 0; chunk <= dream.chunks; chunk += 1) {
      const cell = buildCell(dream, index, chunk, view, row === dream.views.length - 1);
      cell.button.addEventListener("click", () => pick(dream.key, index, chunk));
      cells.push(cell);
      strip.append(cell.button);
    }
    if (dream.has_truth) strip.append(buildTruth(dream, view, row === dream.views.length - 1));
    strips.append(strip);
  });
  return { root: make("div", { className: "sample" }, head, strips), meter, fill, value, cells };
}

function buildTruth(dream, view, isLast) {
  const image = make("img", { alt: `${words(view)}, what came after chunk 1`, loading: "lazy", width: 256, height: 256 });
  image.src = truthAddress(dream.key, view);
  const figure = make("div", { className: "cell truth" }, image);
  if (isLast) figure.append(make("span", { className: "when", textContent: "what came, after 1" }));
  return figure;
}

function buildCell(dream, index, chunk, view, isLast) {
  const where = chunk === 0 ? "when it began" : `imagined after chunk ${chunk}, sample ${index + 1}`;
  const image = make("img", { alt: `${words(view)}, ${where}`, loading: "lazy", width: 256, height: 256 });
  const button = make("button", { type: "button", className: chunk === 0 ? "cell real" : "cell dream" }, image);
  let chance = null;
  if (isLast) {
    chance = chunk === 0 ? null : make("span", { className: "faint" });
    button.append(make("span", { className: "when" }, chunk === 0 ? "began" : `after ${chunk} · `, ...(chance ? [chance] : [])));
  }
  return { button, image, chunk, view, chance };
}
