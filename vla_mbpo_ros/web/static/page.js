// Asks for the state five times a second and draws it. A hidden page asks for nothing.

import { byId, make, say, words } from "./dom.js";
import { Dreams } from "./dreams.js";
import { getState, post } from "./net.js";
import { Stage } from "./stage.js";

const PERIOD_MS = 200;
const PATIENCE_MS = 2000; // between two tries while the server does not answer
const READ_MS = 5000; // how long a good answer stands; a refusal stands until the next try

let state = null;
let answerUntil = 0;
let chosen = { key: null, sample: 0, place: 0 }; // what the scrubber shows; key null: the newest dream

const stage = new Stage();
const dreams = new Dreams((key, sample = 0, chunk = undefined) => {
  chosen = { key, sample, place: chunk === undefined ? 0 : chunk + 1 };
  draw();
});

const dreamNow = () => state.dreams.find((each) => each.key === chosen.key) || state.dreams[0] || null;

// ---- drawing ------------------------------------------------------------------------------------------------------

function draw() {
  if (!state) return;
  const dream = dreamNow();
  const sample = dream ? Math.min(chosen.sample, dream.success.length - 1) : 0;
  const place = drawScrubber(dream, sample);
  const chunk = place > 0 ? place - 1 : null;
  stage.draw(state.cameras, chunk === null ? null : { dream, sample, chunk });
  dreams.draw(state.dreams, dream, sample, chunk);
  drawHeader();
  drawControls();
  drawReality();
  drawNotes();
}

/** The place that can be shown, which may be nearer than the one that is wanted. */
function drawScrubber(dream, sample) {
  const known = dream ? 1 + dream.success[sample].length : 0;
  const place = Math.min(chosen.place, known);
  const slider = byId("scrubber");
  slider.max = String(known);
  slider.disabled = known === 0;
  if (slider.value !== String(place)) slider.value = String(place);
  const which = dream && dream.success.length > 1 ? `, sample ${sample + 1}` : "";
  const text = place === 0 ? "live" : place === 1 ? "when it began" : `imagined, after chunk ${place - 1}${which}`;
  slider.setAttribute("aria-valuetext", text);
  say(byId("place"), text);
  document.body.classList.toggle("dreaming", place > 1);
  return place;
}

function drawHeader() {
  const { version, loading, problem } = state.model;
  say(byId("instruction"), state.instruction ? `“${state.instruction}”` : "");
  say(byId("model"), loading ? `loading ${loading} …` : version || "no world model");
  byId("model").dataset.state = loading ? "wait" : version ? "well" : "ill";
  byId("model").title = problem;
}

function drawControls() {
  const { model, running } = state;
  const why = model.version ? "" : model.problem || (model.loading ? "The world model is being loaded." : "There is no world model yet.");
  for (const id of ["imagine", "nothing"]) byId(id).disabled = why !== "";
  byId("imagine").title = why;
  byId("cancel").disabled = !running;
  byId("clear").disabled = state.dreams.length === 0;
  byId("running").hidden = !running;
  if (running) {
    byId("progress").max = Math.max(running.steps_total, 1);
    byId("progress").value = running.steps_done;
    say(byId("progress-text"), `${running.title}: ${running.steps_done} of ${running.steps_total}`);
  }
  if (performance.now() > answerUntil) say(byId("answer"), why);
}

function drawReality() {
  byId("reality-table").hidden = state.reality.length === 0;
  byId("reality-none").hidden = state.reality.length > 0;
  const form = JSON.stringify(state.reality);
  const body = byId("reality-table").tBodies[0];
  if (body.dataset.form === form) return;
  body.dataset.form = form;
  body.replaceChildren(
    ...state.reality.map((each) => {
      const row = make("tr", {}, make("th", { scope: "row", textContent: words(each.view) }));
      const numbers = [each.psnr_db, each.mean_psnr_db, each.changed_psnr_db].map((number) => text(number, 1));
      for (const textContent of [...numbers, text(each.ssim, 3)]) row.append(make("td", { textContent }));
      return row;
    }),
  );
}

const text = (number, digits) => (number === null ? "–" : number.toFixed(digits));

function drawNotes() {
  const form = JSON.stringify(state.notes);
  if (byId("notes").dataset.form === form) return;
  byId("notes").dataset.form = form;
  byId("news").hidden = state.notes.length === 0;
  const newestFirst = [...state.notes].reverse();
  byId("notes").replaceChildren(
    ...newestFirst.map((note) => make("li", { textContent: note.text, className: note.is_error ? "error" : "" })),
  );
}

// ---- asking -------------------------------------------------------------------------------------------------------

async function act(path, content) {
  byId("refusal").replaceChildren();
  try {
    const { message } = await post(path, content);
    answerUntil = performance.now() + READ_MS;
    say(byId("answer"), message);
  } catch (error) {
    say(byId("answer"), "");
    byId("refusal").replaceChildren(make("strong", { textContent: error.message }), ` ${error.cure || ""}`);
  }
  await look();
}

const samples = () => (byId("samples").value === "" ? 1 : Number(byId("samples").value));

function ask(what) {
  chosen = { key: null, sample: 0, place: chosen.place > 0 ? Infinity : 0 }; // who looks at a dream sees the new one grow
  return act("/imagine", { what, samples: samples() });
}

byId("ask").noValidate = true; // the server says what is wrong, in a sentence
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask("latest");
});
byId("nothing").addEventListener("click", () => ask("do_nothing"));
byId("cancel").addEventListener("click", () => act("/cancel"));
byId("clear").addEventListener("click", () => act("/clear"));
byId("scrubber").addEventListener("input", () => {
  const dream = dreamNow();
  chosen = { ...chosen, key: dream && dream.key, place: Number(byId("scrubber").value) };
  draw();
});

// ---- the wheel ----------------------------------------------------------------------------------------------------

async function look() {
  try {
    state = await getState();
  } catch (error) {
    say(byId("link"), error.cure ? `${error.message} ${error.cure}` : "no answer");
    byId("link").dataset.state = "ill";
    return PATIENCE_MS;
  }
  say(byId("link"), "connected");
  byId("link").dataset.state = "well";
  draw();
  return PERIOD_MS;
}

async function turn() {
  const pause = document.hidden ? PERIOD_MS : await look();
  setTimeout(turn, pause);
}

if (location.search) history.replaceState(null, "", "/"); // the token is in the cookie now
turn();
