// Both panes on a canvas: where a pixel lies, and how outline, box and cross are drawn over it.

import { translate } from "./words.js";

const MOST_SCALE = 16;
const GAP = 4;

export class Stage {
  constructor(canvas, facts) {
    Object.assign(this, { canvas, facts, picture: null, zoom: 1, center: [(facts.columns - 1) / 2, (facts.rows - 1) / 2] });
    this.panes = facts.bmode ? 2 : 1;
    this.names = (facts.bmode ? ["Contrast pane", "B-mode pane"] : ["Contrast pane"]).map((name) => translate(name));
    this.fit();
  }

  // Take the width that there is, and a height that leaves room for the curve.
  fit() {
    const width = this.canvas.parentElement.clientWidth;
    const room = Math.max(240, window.innerHeight - this.canvas.getBoundingClientRect().top - window.scrollY - 265);
    const { rows, columns } = this.facts;
    const fitting = Math.min((width - GAP * (this.panes - 1)) / (this.panes * columns), room / rows);
    this.base = Math.min(MOST_SCALE, Math.max(0.1, fitting));
    this.height = Math.round(Math.min(room, this.base * rows));
    this.width = Math.floor((width - GAP * (this.panes - 1)) / this.panes);
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.canvas.style.height = `${this.height}px`;
  }

  get scale() { return this.base * this.zoom; }

  left(pane) { return pane * (this.width + GAP); }

  // Place on the canvas of a pixel's center in a pane.
  toCanvas([x, y], pane) {
    const [cx, cy] = this.center;
    return [this.left(pane) + this.width / 2 + (x - cx) * this.scale, this.height / 2 + (y - cy) * this.scale];
  }

  // Pixel under a place of the window, in whichever pane it lies.
  toPixel(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const pane = this.panes > 1 && x > this.width + GAP / 2 ? 1 : 0;
    const [cx, cy] = this.center;
    return [cx + (x - this.left(pane) - this.width / 2) / this.scale, cy + (y - this.height / 2) / this.scale];
  }

  // Larger or smaller around a pixel that stays where it is.
  zoomAt([x, y], factor) {
    const zoom = Math.min(MOST_SCALE / Math.min(this.base, MOST_SCALE), Math.max(1, this.zoom * factor));
    const kept = this.zoom / zoom;
    this.center = [x + (this.center[0] - x) * kept, y + (this.center[1] - y) * kept];
    this.zoom = zoom;
    if (zoom === 1) this.center = [(this.facts.columns - 1) / 2, (this.facts.rows - 1) / 2];
  }

  draw(shown) {
    const g = this.canvas.getContext("2d");
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    g.fillStyle = "#000";
    g.fillRect(0, 0, this.canvas.width, this.canvas.height);
    for (let pane = 0; pane < this.panes; pane += 1) {
      g.save();
      g.beginPath();
      g.rect(this.left(pane), 0, this.width, this.height);
      g.clip();
      this.drawPane(g, pane, shown);
      g.restore();
    }
  }

  drawPane(g, pane, shown) {
    const { rows, columns } = this.facts;
    const [x, y] = this.toCanvas([-0.5, -0.5], pane);
    g.imageSmoothingEnabled = this.scale < 3;
    if (this.picture) {
      g.drawImage(this.picture, pane * columns, 0, columns, rows, x, y, columns * this.scale, rows * this.scale);
    }
    for (const one of shown.others) this.path(g, pane, one.points, one.colour, one.dash ?? [2, 4], true);
    if (shown.box) this.drawBox(g, pane, shown.box, shown.held);
    if (shown.points.length) this.drawOutline(g, pane, shown);
    if (shown.place) this.circle(g, pane, shown.place, shown.radius);
    if (shown.cross) this.drawCross(g, pane, shown.cross);
    g.fillStyle = "#cfd8e0";
    g.font = "12px system-ui, sans-serif";
    g.fillText(this.names[pane], this.left(pane) + 6, 15);
  }

  drawOutline(g, pane, { points, closed, chosen, moved, draft }) {
    const colour = moved ? "#7fd1ff" : "#ffe14d";
    const line = draft && !closed ? [...points, draft] : points;
    this.path(g, pane, line, colour, moved ? [5, 4] : [], closed);
    if (moved) return;
    points.forEach((point, index) => {
      const [x, y] = this.toCanvas(point, pane);
      const side = index === chosen ? 9 : points.length > 60 ? 3 : 5;
      g.fillStyle = index === chosen ? "#ff5fa2" : index === 0 && !closed ? "#7cff8b" : colour;
      g.fillRect(x - side / 2, y - side / 2, side, side);
    });
  }

  path(g, pane, points, colour, dash, closed) {
    for (const [style, width] of [["rgba(0,0,0,.6)", 3.5], [colour, 1.6]]) {
      g.strokeStyle = style;
      g.lineWidth = width;
      g.setLineDash(dash);
      g.beginPath();
      points.forEach((point, index) => {
        const place = this.toCanvas(point, pane);
        if (index) g.lineTo(...place); else g.moveTo(...place);
      });
      if (closed) g.closePath();
      g.stroke();
    }
    g.setLineDash([]);
  }

  drawBox(g, pane, [x0, y0, x1, y1], held) {
    const [left, top] = this.toCanvas([x0 - 0.5, y0 - 0.5], pane);
    const [right, bottom] = this.toCanvas([x1 - 0.5, y1 - 0.5], pane);
    g.strokeStyle = held ? "#ff9d73" : "#7cff8b";
    g.lineWidth = 1.5;
    g.setLineDash(held ? [6, 4] : []);
    g.strokeRect(left, top, right - left, bottom - top);
    g.setLineDash([]);
    if (!held) return;
    g.fillStyle = "#ff9d73";
    g.font = "12px system-ui, sans-serif";
    g.fillText(translate("held"), left + 3, top - 4);
  }

  circle(g, pane, place, radius) {
    g.strokeStyle = "rgba(255,255,255,.75)";
    g.lineWidth = 1;
    g.beginPath();
    g.arc(...this.toCanvas(place, pane), radius * this.scale, 0, 2 * Math.PI);
    g.stroke();
  }

  drawCross(g, pane, place) {
    const [x, y] = this.toCanvas(place, pane);
    g.strokeStyle = "#ff5fa2";
    g.lineWidth = 1.5;
    g.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      g.moveTo(x + 4 * dx, y + 4 * dy);
      g.lineTo(x + 12 * dx, y + 12 * dy);
    }
    g.stroke();
  }
}
