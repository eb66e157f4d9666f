// Small line charts of the last minute on a canvas, with axes, units and a summary in words.

const SPAN_S = 60;

/** Return about `count` round steps from 0 to at least `most`. */
export function niceTicks(most, count, whole) {
  const rough = Math.max(most, whole ? 1 : 0.1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const ticks = [0];
  while (ticks.at(-1) < most - 1e-9 || ticks.length < 2) ticks.push(Number((ticks.at(-1) + step).toPrecision(12)));
  return ticks;
}

export class Chart {
  /**
   * @param {HTMLElement} figure with a canvas, a .values and a .summary
   * @param {{unit: string, digits: number, whole?: boolean, series: {name: string, colour: string}[]}} options
   *   colours are names of custom properties of the style sheet
   */
  constructor(figure, options) {
    this.options = options;
    this.canvas = figure.querySelector("canvas");
    this.summary = figure.querySelector(".summary");
    this.points = []; // {time, values}
    this.values = options.series.map((series) => {
      const item = document.createElement("span");
      item.className = "value";
      const key = document.createElement("i");
      key.style.background = `var(${series.colour})`;
      const number = document.createElement("b");
      number.textContent = "–";
      item.append(key, `${series.name} `, number);
      figure.querySelector(".values").append(item);
      return number;
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    // The colours come from the style sheet, which follows the system.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.points = [];
    this.draw();
  }

  /** Add one value a series, null where there is none, at `time` in seconds of a clock that only goes forward. */
  add(time, values) {
    this.points.push({ time, values });
    while (this.points[0].time < time - SPAN_S - 2) this.points.shift();
    values.forEach((value, row) => {
      this.values[row].textContent = this.text(value);
    });
    this.draw();
  }

  text(value) {
    return value === null || value === undefined ? "–" : value.toFixed(this.options.digits);
  }

  /** Put the last minute in words, for those who do not see the lines. Rarely: it is a lot to read. */
  describe() {
    const parts = this.options.series.map((series, row) => {
      const values = this.points.map((point) => point.values[row]).filter((value) => value !== null);
      if (!values.length) return `${series.name}: no values yet`;
      const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => this.text(value));
      return `${series.name}: ${this.text(values.at(-1))}, ${least} to ${most}`;
    });
    this.summary.textContent = `${this.options.unit}, last ${SPAN_S} seconds. ${parts.join("; ")}.`;
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !height) return;
    const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== tall) {
      this.canvas.width = wide;
      this.canvas.height = tall;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    const em = parseFloat(style.fontSize);
    context.font = `${em}px ${style.fontFamily}`;
    const area = this.axes(context, style, { width, height, em });
    this.options.series.forEach((series, row) => {
      this.line(context, area, row, style.getPropertyValue(series.colour));
    });
  }

  axes(context, style, { width, height, em }) {
    const most = Math.max(0, ...this.points.flatMap((point) => point.values.map((value) => value ?? 0)));
    const ticks = niceTicks(most, Math.max(2, Math.min(4, Math.floor(height / (3 * em)))), this.options.whole);
    const labels = ticks.map((tick) => `${tick}`);
    const left = Math.max(...labels.map((label) => context.measureText(label).width)) + 0.6 * em;
    const area = { left, top: 0.7 * em, right: width - 0.3 * em, bottom: height - 1.7 * em, most: ticks.at(-1) };
    context.textBaseline = "middle";
    context.lineWidth = 1;
    ticks.forEach((tick, row) => {
      const y = Math.round(area.bottom - (tick / area.most) * (area.bottom - area.top)) + 0.5;
      context.strokeStyle = style.getPropertyValue(row ? "--grid" : "--axis");
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(area.right, y);
      context.stroke();
      context.fillStyle = style.getPropertyValue("--muted");
      context.textAlign = "right";
      context.fillText(labels[row], left - 0.5 * em, y);
    });
    const below = height - 0.65 * em;
    for (const [seconds, align] of [[SPAN_S, "left"], [SPAN_S / 2, "center"], [0, "right"]]) {
      context.textAlign = align;
      const label = seconds ? `−${seconds} s` : "now";
      context.fillText(label, area.right - (seconds / SPAN_S) * (area.right - left), below);
    }
    return area;
  }

  line(context, area, row, colour) {
    const now = this.points.at(-1)?.time;
    context.strokeStyle = colour;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.save();
    context.beginPath();
    context.rect(area.left, 0, area.right - area.left, area.bottom + 2);
    context.clip();
    context.beginPath();
    let joined = false;
    for (const { time, values } of this.points) {
      if (values[row] === null) {
        joined = false;
        continue;
      }
      const x = area.right - ((now - time) / SPAN_S) * (area.right - area.left);
      const y = area.bottom - (values[row] / area.most) * (area.bottom - area.top);
      if (joined) context.lineTo(x, y);
      else context.moveTo(x, y);
      joined = true;
    }
    context.stroke();
    context.restore();
  }
}
