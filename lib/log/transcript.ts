const HEAD_BYTES = 16 * 1024;
const TAIL_BYTES = 48 * 1024;

/** Collects log lines for the `log` of a function's answer: the first 16 KiB and the last 48 KiB. */
export class Transcript {
  #head = '';
  #tail: string[] = [];
  #tailBytes = 0;
  #droppedBytes = 0;

  readonly add = (line: string): void => {
    const entry = `${line}\n`;
    const bytes = Buffer.byteLength(entry);
    if (this.#tail.length === 0 && Buffer.byteLength(this.#head) + bytes <= HEAD_BYTES) {
      this.#head += entry;
      return;
    }
    this.#tail.push(entry);
    this.#tailBytes += bytes;
    while (this.#tailBytes > TAIL_BYTES && this.#tail.length > 1) {
      const dropped = Buffer.byteLength(this.#tail.shift() ?? '');
      this.#tailBytes -= dropped;
      this.#droppedBytes += dropped;
    }
  };

  toString(): string {
    const gap = this.#droppedBytes > 0 ? `... ${this.#droppedBytes} bytes of the log dropped ...\n` : '';
    return this.#head + gap + this.#tail.join('');
  }
}
