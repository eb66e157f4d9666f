// Sources to choose from, outputs, and what runs.

const STATES = {
  starting: ["busy", "Starting"], running: ["good", "Running"], paused: ["busy", "Paused"],
  reconnecting: ["warn", "Reconnecting"], ended: ["off", "Ended"], failed: ["bad", "Failed"], closed: ["off", "Closed"],
};

/** Return [kind, text] of a state. */
export function stateOf(name) {
  return STATES[name] ?? ["off", name];
}

/** Make an element: make("p", "class", "text", child, ...). */
function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

function setText(element, text) {
  // Unchanged text is left alone, so that nothing is read out again and a selection stays.
  if (element.textContent !== text) element.textContent = text;
}

function badge(element, state) {
  const [kind, text] = stateOf(state);
  element.className = `state ${kind}`;
  setText(element, text);
}

const count = (value) => value.toLocaleString("en");
const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));

/** The sources as radio buttons, each with how it does. */
export class Sources {
  constructor(list, choose) {
    this.list = list;
    this.choose = choose;
    this.rows = [];
  }

  /** Offer these names. */
  offer(names, chosen) {
    if (this.rows.map((row) => row.name).join("\n") !== names.join("\n")) {
      this.rows = names.map((name, source) => this.row(name, source));
      this.list.replaceChildren(...this.rows.map((row) => row.element));
      this.list.classList.toggle("single", names.length === 1);
    }
    this.rows.forEach((row, source) => {
      row.input.checked = source === chosen;
    });
  }

  row(name, source) {
    const input = make("input");
    Object.assign(input, { type: "radio", name: "source", value: source });
    input.addEventListener("change", () => this.choose(source));
    const [state, detail, message] = [make("span", "state"), make("span", "detail"), make("span", "trouble")];
    const text = make("span", "text", make("span", "name", name), state, detail, message);
    return { name, input, state, detail, message, element: make("label", "row", input, text) };
  }

  update(sources) {
    sources.forEach((source, place) => {
      const row = this.rows[place];
      if (!row) return;
      badge(row.state, source.state);
      const parts = source.width ? [`${source.width} × ${source.height}`, `${number(source.source_fps, 1)} FPS`] : [];
      if (source.dropped) parts.push(`${count(source.dropped)} dropped`);
      if (source.reconnects) parts.push(`${count(source.reconnects)} reconnects`);
      setText(row.detail, parts.join(" · "));
      setText(row.message, source.message);
      row.element.title = source.uri;
    });
  }
}

/** Show where results go. */
export function showOutputs(list, sinks, names) {
  const rows = sinks.map((sink) => {
    const state = make("span", "state");
    badge(state, sink.state);
    const parts = [`${count(sink.written)} frames`];
    if (sink.stream !== null && names.length > 1) parts.unshift(names[sink.stream] ?? "");
    if (sink.dropped) parts.push(`${count(sink.dropped)} dropped`);
    const detail = make("span", "detail", parts.join(" · "));
    return make("li", "row", make("span", "text", make("span", "name", sink.name), state, detail,
      make("span", "trouble", sink.message)));
  });
  list.replaceChildren(...rows);
  list.closest("section").hidden = !rows.length;
}

/** Show what runs on what. */
export function showSystem(list, statistics) {
  const facts = {
    Model: statistics.model, Backend: statistics.backend, Precision: statistics.precision, Device: statistics.device,
    Uptime: duration(statistics.uptime_s),
  };
  if (statistics.failures) facts["Failed frames"] = count(statistics.failures);
  list.replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]),
  );
}

/** Show what a frame's time is spent on. */
export function showStages(body, stagesMs) {
  const stages = Object.entries(stagesMs);
  const longest = Math.max(0.01, ...stages.map(([, value]) => value));
  body.replaceChildren(...stages.map(([name, value]) => {
    const bar = make("i");
    bar.style.width = `${(100 * value) / longest}%`;
    const head = make("th", "", name[0].toUpperCase() + name.slice(1));
    head.scope = "row";
    return make("tr", "", head, make("td", "", value.toFixed(value < 10 ? 2 : 1)), make("td", "bars", bar));
  }));
  body.closest("section").hidden = !stages.length;
}

function duration(seconds) {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
