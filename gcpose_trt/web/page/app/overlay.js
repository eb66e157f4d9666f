// Skeletons as vector strokes on the canvas, in the device's own pixels. Same joints, colours and opacities as the
// pictures that the program draws itself.

const INK = "rgb(22 24 28)";
const FAINTEST = 0.35; // opacity of a joint at the threshold
const FACE = /nose|eye|ear/; // joints that lie close together

let strokes = []; // {from, to, colour, width}; a joint is a stroke that ends where it starts
let threshold = 0.05;
let certain = 0.3; // a heatmap's peak is well below 1 even where all is plain
let light = "#eef0ec";

/** Take joints, limbs, colours and the two confidences from the server's hello. */
export function useSkeleton({ skeleton, keypoint_threshold, certain: opaque }) {
  const { names, edges, sides, edge_sides, colours } = skeleton;
  [threshold, certain, light] = [keypoint_threshold, opaque, colours.centre];
  strokes = [
    ...edges.map(([from, to], row) => ({ from, to, colour: colours[edge_sides[row]], width: 1 })),
    ...names.map((name, joint) => ({
      from: joint, to: joint, colour: colours[sides[joint]], width: FACE.test(name) ? 1.25 : 1.9,
    })),
  ];
}

/** Return 0 below the threshold, then FAINTEST rising to 1. */
function opacity(score) {
  if (!(score >= threshold)) return 0;
  return FAINTEST + (1 - FAINTEST) * Math.min(1, (score - threshold) / Math.max(certain - threshold, 1e-6));
}

/** Return a limb's width in pixels of a frame of this size. */
function limbWidth([left, top, right, bottom], frame) {
  const person = Math.sqrt(Math.max(1, right - left) * Math.max(1, bottom - top));
  const diagonal = Math.hypot(frame.width, frame.height);
  return Math.min(Math.max(0.022 * person, 0.0016 * diagonal), 0.007 * diagonal);
}

function drawPerson(context, person, scale, frame, finest) {
  const width = Math.max(limbWidth(person.box, frame) * scale, finest);
  const visible = strokes
    .map((stroke) => ({
      ...stroke,
      alpha: Math.min(opacity(person.keypoints[stroke.from]?.[2]), opacity(person.keypoints[stroke.to]?.[2])),
    }))
    .filter((stroke) => stroke.alpha > 0)
    // What is certain lies on top.
    .sort((one, other) => one.alpha - other.alpha);
  for (const stroke of visible) {
    const [x1, y1] = person.keypoints[stroke.from];
    const [x2, y2] = person.keypoints[stroke.to];
    context.globalAlpha = stroke.alpha;
    context.beginPath();
    context.moveTo(x1 * scale, y1 * scale);
    // A canvas draws no line of no length, not even its round ends.
    context.lineTo(x2 * scale, y2 * scale + (stroke.from === stroke.to ? 0.01 : 0));
    context.strokeStyle = INK;
    context.lineWidth = width * stroke.width + Math.max(finest, 0.55 * width);
    context.stroke();
    context.strokeStyle = stroke.colour;
    context.lineWidth = width * stroke.width;
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawTag(context, person, scale, ratio) {
  const hasId = person.id !== undefined && person.id !== null;
  const text = hasId ? `#${person.id}  ${person.score.toFixed(2)}` : person.score.toFixed(2);
  const size = 0.8 * parseFloat(getComputedStyle(document.documentElement).fontSize) * ratio; // as the page's text
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const wide = context.measureText(text).width + 0.9 * size;
  const tall = 1.5 * size;
  const left = Math.max(0, Math.min(person.box[0] * scale, context.canvas.width - wide));
  const above = person.box[1] * scale - tall;
  const top = above >= 0 ? above : Math.max(0, person.box[1] * scale);
  context.fillStyle = "rgb(12 14 18 / 0.78)";
  context.fillRect(left, top, wide, tall);
  context.fillStyle = "#fff";
  context.fillText(text, left + 0.45 * size, top + tall / 2);
}

function drawBox(context, [left, top, right, bottom], scale, ratio) {
  context.globalAlpha = 0.85;
  for (const [colour, width] of [[INK, 3], [light, 1.25]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    context.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  }
  context.globalAlpha = 1;
}

/**
 * Draw a picture with the people found in it.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasImageSource} picture
 * @param {?{people: object[], width: number, height: number}} poses in pixels of a frame of width x height
 * @param {{skeletons: boolean, boxes: boolean}} show
 */
export function draw(canvas, picture, poses, show) {
  const ratio = fit(canvas, picture);
  const context = canvas.getContext("2d", { alpha: false });
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (!poses) return;
  const scale = canvas.width / poses.width;
  context.lineCap = "round";
  // Last the best, so that they lie on top.
  for (const person of [...poses.people].reverse()) {
    if (show.boxes) drawBox(context, person.box, scale, ratio);
    if (show.skeletons) drawPerson(context, person, scale, poses, 1.4 * ratio);
    if (show.skeletons || show.boxes) drawTag(context, person, scale, ratio);
  }
}

/** Give the canvas as many pixels as the screen shows of it, and return how many make a CSS pixel. */
function fit(canvas, picture) {
  canvas.style.setProperty("--ratio", `${picture.width / picture.height}`);
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(Math.min(canvas.clientWidth * ratio, 4096)));
  const height = Math.max(1, Math.round((width * picture.height) / picture.width));
  // Setting a size clears the canvas, so only when it changes.
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return ratio;
}
