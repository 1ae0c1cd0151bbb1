// The frames of a clip: fetched once, the nearest first, kept in memory within a bound, decoded when shown.

const PARALLEL = 3;
const MOST_BYTES = 400 * 2 ** 20;

export class FrameStore {
  constructor(url, count) {
    this.url = url;
    this.count = count;
    this.blobs = new Map(); // number → Blob
    this.asked = new Map(); // number → Promise of a Blob
    this.bytes = 0;
    this.center = 0;
    this.failed = null;
    this.urgent = 0; // frames that somebody waits for
    this.fill();
  }

  // The picture of a frame.
  async picture(number) {
    this.center = number;
    this.urgent += 1;
    try {
      return await createImageBitmap(await (this.blobs.get(number) ?? this.ask(number)));
    } finally { this.urgent -= 1; }
  }

  ask(number) {
    if (!this.asked.has(number)) {
      const answer = fetch(`${this.url}/${number}`, { cache: "no-store" }).then(async (response) => {
        if (!response.ok) throw new Error(await response.text());
        return this.keep(number, await response.blob());
      }).finally(() => this.asked.delete(number));
      this.asked.set(number, answer);
    }
    return this.asked.get(number);
  }

  keep(number, blob) {
    this.blobs.set(number, blob);
    this.bytes += blob.size;
    while (this.bytes > MOST_BYTES) {
      const farthest = [...this.blobs.keys()].reduce((a, b) => (this.away(a) > this.away(b) ? a : b));
      this.bytes -= this.blobs.get(farthest).size;
      this.blobs.delete(farthest);
    }
    return blob;
  }

  away(number) {
    return Math.abs(number - this.center);
  }

  // Fetch what is not there yet, from the shown frame outwards, until all is there or the room is used.
  async fill() {
    const worker = async () => {
      for (let next = this.missing(); next !== null && !this.failed; next = this.missing()) {
        try {
          while (this.urgent) await new Promise((done) => { setTimeout(done, 15); });
          await this.ask(next);
        } catch (error) {
          this.failed = error;
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  }

  missing() {
    if (this.bytes > 0.9 * MOST_BYTES) return null;
    for (let step = 0; step < this.count; step += 1) {
      for (const number of [this.center + step, this.center - step]) {
        const absent = !this.blobs.has(number) && !this.asked.has(number);
        if (number >= 0 && number < this.count && absent) return number;
      }
    }
    return null;
  }
}
