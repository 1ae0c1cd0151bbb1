// The time-intensity curves on one axis of time: of the lesion, and of the place under the cursor.

import { translate } from "./words.js";

const LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 30;
const COLOURS = { lesion: "#0b5394", measured: "#9dbcd8", place: "#7b8794", key: "#d97706", now: "#1f2933" };

export class Chart {
  constructor(canvas, seconds, timed, onSeek) {
    Object.assign(this, { canvas, seconds, timed, place: null, trace: null, frame: 0 });
    const steps = seconds.slice(1).map((second, index) => second - seconds[index]).sort((a, b) => a - b);
    this.gap = 5 * (steps[steps.length >> 1] ?? 1); // a longer way between two frames is one between two clips
    const seek = (event) => {
      if (event.buttons !== 1) return;
      const box = canvas.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      const first = seconds[0], last = seconds[seconds.length - 1];
      onSeek(nearest(seconds, first + Math.min(1, Math.max(0, share)) * (last - first)));
    };
    canvas.addEventListener("pointerdown", seek);
    canvas.addEventListener("pointermove", seek);
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const g = this.canvas.getContext("2d");
    g.scale(ratio, ratio);
    g.font = "11px system-ui, sans-serif";
    this.width = width - LEFT - RIGHT;
    this.height = height - TOP - BOTTOM;
    this.highest = this.findHighest();
    this.drawAxes(g);
    if (this.trace) this.drawTrace(g);
    if (this.place) this.line(g, this.seconds, this.place, COLOURS.place, 1);
    const x = this.x(this.seconds[this.frame]);
    g.strokeStyle = COLOURS.now;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x, TOP);
    g.lineTo(x, TOP + this.height);
    g.stroke();
  }

  findHighest() {
    const values = [...(this.trace ? this.trace.smoothed : []), ...(this.place ?? [])].filter((one) => one !== null);
    return values.reduce((a, b) => Math.max(a, b), 0) || 1;
  }

  x(second) {
    const first = this.seconds[0], span = this.seconds[this.seconds.length - 1] - first || 1;
    return LEFT + ((second - first) / span) * this.width;
  }

  y(value) { return TOP + this.height * (1 - Math.min(1.04, value / this.highest)); }

  drawAxes(g) {
    g.strokeStyle = "#9aa5b1";
    g.fillStyle = "#4a5866";
    g.lineWidth = 1;
    g.strokeRect(LEFT, TOP, this.width, this.height);
    g.textAlign = "center";
    const first = this.seconds[0], last = this.seconds[this.seconds.length - 1];
    const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((one) => (last - first) / one <= this.width / 60) ?? 1200;
    for (let second = Math.ceil(first / step) * step; second <= last; second += step) {
      g.fillText(String(second), this.x(second), TOP + this.height + 13);
      g.fillRect(this.x(second), TOP + this.height, 1, 3);
    }
    g.fillText(translate(this.timed ? "seconds after injection" : "seconds of the clip"), LEFT + this.width / 2, TOP + this.height + 26);
    g.textAlign = "right";
    if (this.trace || this.place) g.fillText(Number(this.highest.toPrecision(2)).toLocaleString(), LEFT - 4, TOP + 10);
    g.fillText("0", LEFT - 4, TOP + this.height);
    g.save();
    g.translate(10, TOP + this.height / 2);
    g.rotate(-Math.PI / 2);
    g.textAlign = "center";
    g.fillText(translate("intensity"), 0, 0);
    g.restore();
  }

  drawTrace(g) {
    const { seconds, held, tic, smoothed, peak, chosen } = this.trace;
    g.fillStyle = "#f3d9d0";
    held.forEach((yes, index) => {
      const next = Math.min(seconds[Math.min(index + 1, seconds.length - 1)], seconds[index] + this.gap / 5);
      if (yes) g.fillRect(this.x(seconds[index]), TOP + 1, Math.max(1, this.x(next) - this.x(seconds[index])), this.height - 2);
    });
    this.line(g, seconds, tic, COLOURS.measured, 1);
    this.line(g, seconds, smoothed, COLOURS.lesion, 2);
    g.fillStyle = COLOURS.key;
    for (const index of new Set(chosen)) g.fillRect(this.x(seconds[index]), TOP + this.height - 6, 1.5, 6);
    if (peak === null) return;
    const x = this.x(seconds[peak]);
    g.strokeStyle = COLOURS.lesion;
    g.setLineDash([4, 3]);
    g.beginPath();
    g.moveTo(x, TOP);
    g.lineTo(x, TOP + this.height);
    g.stroke();
    g.setLineDash([]);
    g.fillStyle = COLOURS.lesion;
    g.textAlign = x > LEFT + this.width - 90 ? "right" : "left";
    g.fillText(translate("peak {0} s", seconds[peak].toFixed(1)), x + (g.textAlign === "left" ? 4 : -4), TOP + this.height - 12);
  }

  line(g, seconds, values, colour, width) {
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.beginPath();
    let open = false;
    values.forEach((value, index) => {
      if (value === null) { open = false; return; }
      const place = [this.x(seconds[index]), this.y(value)];
      if (open && seconds[index] - seconds[index - 1] <= this.gap) g.lineTo(...place); else g.moveTo(...place);
      open = true;
    });
    g.stroke();
  }
}

// Index of the number in a rising list that is nearest to one.
export function nearest(list, wanted) {
  let low = 0, high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] < wanted) low = middle; else high = middle;
  }
  return wanted - list[low] <= list[high] - wanted ? low : high;
}
