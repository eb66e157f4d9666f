// Puts the page together: what comes from the server goes to its parts, what people do goes to the server.

import { Chart } from "./charts.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { useSkeleton } from "./overlay.js";
import { showOutputs, showStages, showSystem, Sources, stateOf } from "./panels.js";
import { Player } from "./player.js";

const at = (id) => document.getElementById(id);
const DESCRIBE_MS = 5000;

let hello = { sources: [], source: 0 };
let source = 0;
let statistics = null;
let trouble = "";

const player = new Player(at("video"), (index) => `stream.mjpg?source=${index}`, {
  shown(sequence) {
    at("video").dataset.sequence = sequence;
    at("waiting").hidden = true;
    showSnapshotLink();
  },
  refused(status) {
    if (status === 401) location.assign("login");
  },
});

const connection = new Connection((message) => receive[message.type]?.(message), (reason) => {
  trouble = reason;
  showState();
});
const controls = new Controls(at("settings"), at("pause"), (changes) => connection.send({ type: "set", ...changes }));
const sources = new Sources(at("source-list"), choose);

const charts = {
  rate: new Chart(at("rate"), {
    unit: "Frames a second", digits: 1, series: [{ name: "source", colour: "--blue" }, { name: "inference", colour: "--orange" }],
  }),
  latency: new Chart(at("latency"), {
    unit: "Latency in milliseconds", digits: 0, series: [{ name: "p50", colour: "--blue" }, { name: "p99", colour: "--orange" }],
  }),
  people: new Chart(at("people"), {
    unit: "People", digits: 0, whole: true, series: [{ name: "now", colour: "--blue" }],
  }),
};

const receive = {
  hello(message) {
    hello = message;
    trouble = "";
    source = Math.min(connection.source, hello.sources.length - 1);
    useSkeleton(hello);
    sources.offer(hello.sources, source);
    controls.apply(hello.settings);
    at("logout").hidden = !hello.login;
    // Sequence numbers start again where the server did.
    player.source = source;
    player.restart();
    showState();
  },
  frame(message) {
    if (message.source === source) player.takePoses(message);
  },
  settings(message) {
    at("refusal").textContent = "";
    controls.apply(message.settings);
    if (statistics) statistics.settings = message.settings;
    showState();
  },
  statistics(message) {
    statistics = message;
    controls.apply(message.settings);
    sources.update(message.sources);
    showOutputs(at("outputs"), message.sinks, hello.sources);
    showSystem(at("system"), message);
    showStages(at("stages"), message.stages_ms);
    plot(message);
    showState();
  },
  error(message) {
    at("refusal").textContent = message.message;
  },
};

function plot(message) {
  const chosen = message.sources[source];
  if (!chosen) return;
  charts.rate.add(message.uptime_s, [chosen.source_fps, chosen.inference_fps]);
  charts.latency.add(message.uptime_s, [chosen.latency_p50_ms, chosen.latency_p99_ms]);
  charts.people.add(message.uptime_s, [chosen.people]);
}

function choose(index) {
  source = index;
  connection.select(index);
  player.select(index);
  at("video").dataset.sequence = "";
  Object.values(charts).forEach((chart) => chart.clear());
  if (statistics) plot(statistics);
  showState();
}

function showState() {
  const connected = connection.connected && !trouble;
  const chosen = statistics?.sources[source];
  let [kind, text] = chosen ? stateOf(chosen.state) : ["busy", "Connecting"];
  if (chosen?.state === "running") text = "Live";
  if (controls.paused) [kind, text] = ["busy", "Paused"];
  if (trouble) [kind, text] = ["bad", "Offline"];
  at("state").className = `state ${kind}`;
  setText(at("state"), text);
  setText(at("banner"), trouble);
  setText(at("notice"), trouble ? "" : chosen?.message ?? "");
  at("stage").classList.toggle("stale", Boolean(trouble) || ["bad", "warn"].includes(kind));
  controls.enable(connected);
  at("sources").disabled = !connected;
  const size = chosen?.width ? ` · ${chosen.width} × ${chosen.height}` : "";
  setText(at("caption"), chosen ? `${chosen.name}${size}` : "");
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showSnapshotLink() {
  at("snapshot").href = `snapshot.jpg?source=${source}${player.show.skeletons ? "" : "&plain=1"}`;
}

for (const name of ["skeletons", "boxes"]) {
  at(name).addEventListener("change", () => {
    player.show[name] = at(name).checked;
    player.request();
  });
  player.show[name] = at(name).checked; // as the browser restored it
}

if (document.fullscreenEnabled) {
  at("fullscreen").hidden = false;
  at("fullscreen").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else at("stage").requestFullscreen();
  });
}

setInterval(() => Object.values(charts).forEach((chart) => chart.describe()), DESCRIBE_MS);
