// The judging screen, of a notebook's cell and of the local page. `send` posts a message to the
// session in Python, whose answer is a state; `show` draws a state. Nothing else is known here.

const ANSWERS = {
  pair: [
    ["left", "Left is better", "ArrowLeft", "←"],
    ["equal", "Equal", "e", "E"],
    ["neither", "Neither", "n", "N"],
    ["right", "Right is better", "ArrowRight", "→"],
  ],
  row: [
    ["relevant", "Relevant", "r", "R"],
    ["not", "Not relevant", "n", "N"],
  ],
};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function button(text, key, shownKey, press) {
  const attributes = { type: "button", "aria-keyshortcuts": key, onclick: press };
  return make("button", attributes, make("span", {}, text), make("kbd", {}, shownKey));
}

function card(row) {
  const both = row.both ? [make("span", { class: "judge-both" }, "in both")] : [];
  return make("li", { class: row.both ? "judge-row judge-common" : "judge-row" },
    make("p", { class: "judge-label" }, row.label, ...both), make("p", { class: "judge-text" }, row.text));
}

function side(title, rows) {
  const content = rows.length
    ? make("ol", {}, ...rows.map(card)) : make("p", { class: "judge-none" }, "No rows");
  return make("section", { class: "judge-side" }, make("h3", {}, title), content);
}

function bar(state) {
  const { low, high, mean, limit } = state.bar;
  const parts = [make("span", { class: "judge-limit" })];
  const tick = make("span", { class: "judge-tick" }, `limit ${state.limit}`);
  parts[0].style.left = tick.style.left = `${limit}%`;
  if (high - low < 100) {
    const range = make("span", { class: "judge-range" }), dot = make("span", { class: "judge-mean" });
    Object.assign(range.style, { left: `${low}%`, width: `${high - low}%` });
    dot.style.left = `clamp(4px, ${mean}%, calc(100% - 4px))`;
    parts.push(range, dot);
  }
  const label = `${state.figure}. ${state.outlook}`;
  return make("div", { role: "img", "aria-label": label },
    make("div", { class: `judge-bar judge-${state.decided}` }, ...parts),
    make("div", { class: "judge-ends" }, ...state.ends.map((end) => make("span", {}, end)), tick));
}

function counts(state) {
  const same = state.same ? ` · ${state.same} with the same lists` : "";
  return `${state.judge} · ${state.judged} judged${same} · ${state.remaining} left`;
}

export function mount(root, send, keys = root) {
  let state = null;
  let waiting = true;
  const parts = Object.fromEntries(
    ["place", "question", "lists", "answers", "progress", "counts", "remarks", "error"].map(
      (name) => [name, make("div", { class: `judge-${name}` })]),
  );
  parts.question.setAttribute("aria-live", "polite");
  parts.error.setAttribute("role", "alert");
  parts.answers.setAttribute("role", "group");
  parts.answers.setAttribute("aria-label", "Your judgement");
  const post = (message) => {
    if (waiting) return;
    waiting = true;
    root.setAttribute("aria-busy", "true");
    send(message);
  };
  const undo = button("Undo", "u", "U", () => post({ undo: true }));
  const whole = button("Whole texts", "t", "T", () =>
    whole.setAttribute("aria-pressed", root.classList.toggle("judge-whole")));
  const again = make("button", { type: "button", onclick: () => post({}) }, "Try again");
  const text = make("textarea", { rows: 4, "aria-label": "Questions, one a line",
    placeholder: "Questions that your users ask, one a line" });
  const add = make("details", { class: "judge-add" }, make("summary", {}, "Add questions"), text,
    make("button", { type: "button", onclick: () => {
      post({ add: text.value });
      text.value = "";
    } }, "Add"));
  const tools = make("div", { class: "judge-tools" }, undo, whole);
  root.classList.add("judge");
  root.tabIndex = 0;
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys, while this has the focus
  root.replaceChildren(parts.error, parts.place, parts.question, parts.lists, parts.answers,
    parts.progress, make("footer", {}, parts.counts, tools), parts.remarks, add);

  keys.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("textarea, input, summary");
    if (!state || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const pressed = [...parts.answers.children, undo, whole].find((each) =>
      each.getAttribute("aria-keyshortcuts").toLowerCase() === event.key.toLowerCase());
    if (!pressed || pressed.disabled) return;
    event.preventDefault();
    event.stopPropagation();
    pressed.click();
  });

  function drawAnswers() {
    const answers = state.question ? ANSWERS[state.mode] : [];
    if (parts.answers.dataset.mode === `${state.mode} ${answers.length}`) return; // keep the focus
    parts.answers.dataset.mode = `${state.mode} ${answers.length}`;
    parts.answers.replaceChildren(...answers.map(([answer, label, key, shownKey]) =>
      button(label, key, shownKey, () => post({ answer, turn: state.turn }))));
  }

  function draw() {
    const asks = Boolean(state.question);
    parts.place.textContent = !asks ? "" : state.mode === "pair"
      ? "Which results would you rather get?" : `Does this row answer the question? ${state.place}`;
    parts.question.textContent = state.question || (state.busy ? "Searching…"
      : state.judged ? "Every question is judged. Thank you."
        : "No question yet. Type in what your users ask.");
    parts.lists.replaceChildren(...(!asks ? [] : state.mode === "pair"
      ? [side("Left", state.left), side("Right", state.right)]
      : [make("ol", { class: "judge-side" }, card(state.row))]));
    drawAnswers();
    parts.progress.replaceChildren(bar(state), make("p", { class: "judge-figure" }, state.figure),
      make("p", { class: `judge-outlook judge-${state.decided}` }, state.outlook));
    parts.counts.textContent = counts(state);
    parts.remarks.replaceChildren(...state.remarks.map((remark) => make("p", {}, remark)));
    undo.disabled = !state.can_undo;
    whole.hidden = !asks;
    parts.progress.hidden = tools.hidden = !asks && !state.judged && !state.same;
    if (!asks && !state.busy && !state.judged) add.open = true;
  }

  return function show(answer) {
    waiting = false;
    root.removeAttribute("aria-busy");
    parts.error.replaceChildren(...(answer.error ? [make("span", {}, answer.error), again] : []));
    if ("mode" in answer) {
      state = answer;
      draw();
    }
    if (answer.busy) setTimeout(() => post({}), 300);
  };
}

export default {
  render({ model, el }) {
    const root = make("div");
    el.append(root);
    const show = mount(root, (message) => model.send(message));
    model.on("msg:custom", show);
    show(model.get("state"));
    return () => model.off("msg:custom", show);
  },
};

const page = document.getElementById("judge");
if (page) {
  const send = async (message) => {
    const seconds = 90; // more than the session takes for a question
    try {
      const answer = await fetch("", { method: "POST", body: JSON.stringify(message),
        headers: { "Content-Type": "application/json" }, signal: AbortSignal.timeout(1000 * seconds) });
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.json());
    } catch {
      show({ busy: false, error: "ragkit judge does not answer. Start it again: nothing is lost." });
    }
  };
  const show = mount(page, send, document);
  page.focus();
  send({});
}
