// Shows the picture stream of one source, each picture with the poses of the same sequence number.

import { Backoff, pause } from "./backoff.js";
import { draw } from "./overlay.js";
import { readStream } from "./stream.js";

const KEPT_POSES = 64;
const KEPT_PICTURES = 3; // decoded pictures that wait for their poses
const PATIENCE_MS = 400; // then a picture is shown without poses: their connection is lost
const LONG_PATIENCE_MS = 1500; // where later poses came: then their picture is to be expected too

export class Player {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(source: string) => string} url of a source's stream
   * @param {{shown: (sequence: number) => void, refused: (status: number) => void}} events
   */
  constructor(canvas, url, events) {
    this.canvas = canvas;
    this.url = url;
    this.events = events;
    this.show = { skeletons: true, boxes: false };
    this.poses = new Map(); // by sequence
    this.pictures = []; // {sequence, bitmap, since}
    this.current = null; // {sequence, bitmap, poses}
    this.source = null;
    this.stop = null;
    this.frame = 0;
    new ResizeObserver(() => this.request()).observe(canvas.parentElement);
    document.addEventListener("visibilitychange", () => this.follow());
  }

  /** Show another source, from its next picture on. */
  select(source) {
    if (source === this.source) return;
    this.source = source;
    this.restart();
  }

  restart() {
    this.stop?.abort();
    this.stop = null;
    this.poses.clear();
    this.pictures.splice(0).forEach(({ bitmap }) => bitmap.close());
    this.follow();
  }

  /** Stream while there is a source and somebody looks: a hidden page costs the other side nothing. */
  follow() {
    const wanted = this.source !== null && !document.hidden;
    if (wanted && !this.stop) this.run(this.source);
    if (!wanted && this.stop) {
      this.stop.abort();
      this.stop = null;
    }
  }

  async run(source) {
    const stop = new AbortController();
    this.stop = stop;
    const backoff = new Backoff();
    while (!stop.signal.aborted) {
      try {
        await readStream(this.url(source), stop.signal, (sequence, bitmap) => {
          backoff.reset();
          if (stop.signal.aborted) bitmap.close();
          else this.takePicture(sequence, bitmap);
        });
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error.status) this.events.refused(error.status);
      }
      await pause(backoff.next(), stop.signal);
    }
  }

  takePicture(sequence, bitmap) {
    this.pictures.push({ sequence, bitmap, since: performance.now() });
    while (this.pictures.length > KEPT_PICTURES) this.pictures.shift().bitmap.close();
    this.match();
    if (!this.pictures.length) return;
    for (const patience of [PATIENCE_MS, LONG_PATIENCE_MS]) setTimeout(() => this.match(), patience + 1);
  }

  /** Take the poses of one picture: {sequence, width, height, people}. */
  takePoses(message) {
    this.poses.set(message.sequence, message);
    if (this.poses.size > KEPT_POSES) this.poses.delete(this.poses.keys().next().value);
    this.match();
  }

  /** Show the newest picture whose poses are there; those before it are stale. */
  match() {
    const now = performance.now();
    const latest = Math.max(0, ...this.poses.keys());
    const ready = this.pictures.findLastIndex(({ sequence, since }) => (
      this.poses.has(sequence) || now - since > (latest > sequence ? LONG_PATIENCE_MS : PATIENCE_MS)
    ));
    if (ready < 0) return;
    const taken = this.pictures.splice(0, ready + 1);
    const { sequence, bitmap } = taken.pop();
    taken.forEach((older) => older.bitmap.close());
    this.current?.bitmap.close();
    this.current = { sequence, bitmap, poses: this.poses.get(sequence) ?? null };
    this.request();
  }

  /** Draw before the screen's next refresh. */
  request() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (!this.current) return;
    const { sequence, bitmap, poses } = this.current;
    draw(this.canvas, bitmap, poses, this.show);
    this.events.shown(sequence);
  }
}
