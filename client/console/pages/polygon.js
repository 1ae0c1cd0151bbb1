// An outline while it is drawn: its points (x, y) in pixels of the pane, and every state before.

const MOST_STATES = 500;

export class Polygon {
  constructor(columns, rows) {
    this.columns = columns;
    this.rows = rows;
    this.now = { points: [], closed: false, frame: -1 };
    this.before = [];
    this.after = [];
    this.chosen = -1;
  }

  get points() { return this.now.points; }
  get closed() { return this.now.closed; }
  get frame() { return this.now.frame; }

  // A change that can be taken back.
  change(values) {
    this.before.push(this.now);
    if (this.before.length > MOST_STATES) this.before.shift();
    this.after = [];
    this.now = { ...this.now, ...values };
    this.chosen = Math.min(this.chosen, this.points.length - 1);
  }

  // A change within one drag: it belongs to the change before.
  amend(values) { this.now = { ...this.now, ...values }; }

  undo() {
    if (!this.before.length) return false;
    this.after.push(this.now);
    this.now = this.before.pop();
    this.chosen = -1;
    return true;
  }

  redo() {
    if (!this.after.length) return false;
    this.before.push(this.now);
    this.now = this.after.pop();
    this.chosen = -1;
    return true;
  }

  inside([x, y]) {
    const clamp = (value, high) => Math.round(100 * Math.min(Math.max(value, 0), high)) / 100;
    return [clamp(x, this.columns - 1), clamp(y, this.rows - 1)];
  }

  add(point, frame) { this.change({ points: [...this.points, this.inside(point)], frame }); }
  close() { if (this.points.length >= 3) this.change({ closed: true }); }
  clear() { this.change({ points: [], closed: false, frame: -1 }); }

  moved(index, point) {
    return this.points.map((one, place) => (place === index ? this.inside(point) : one));
  }

  remove(index) {
    const points = this.points.filter((_, place) => place !== index);
    this.change({ points, closed: this.closed && points.length >= 3, frame: points.length ? this.frame : -1 });
  }

  // Put a point on the side that lies nearest; its place among the points.
  insert(point) {
    const place = this.nearestSide(point).side + 1;
    this.change({ points: [...this.points.slice(0, place), this.inside(point), ...this.points.slice(place)] });
    return place;
  }

  nearest([x, y]) {
    let best = { index: -1, distance: Infinity };
    this.points.forEach(([px, py], index) => {
      const distance = Math.hypot(px - x, py - y);
      if (distance < best.distance) best = { index, distance };
    });
    return best;
  }

  nearestSide([x, y]) {
    let best = { side: -1, distance: Infinity };
    this.points.forEach(([ax, ay], side) => {
      const [bx, by] = this.points[(side + 1) % this.points.length];
      const length = (bx - ax) ** 2 + (by - ay) ** 2;
      const share = length ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
      const distance = Math.hypot(ax + share * (bx - ax) - x, ay + share * (by - ay) - y);
      if (distance < best.distance) best = { side, distance };
    });
    return best;
  }
}
