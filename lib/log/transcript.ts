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
    const kept = lastBytes(entry, TAIL_BYTES);
    const keptBytes = Buffer.byteLength(kept);
    this.#droppedBytes += bytes - keptBytes;
    this.#tail.push(kept);
    this.#tailBytes += keptBytes;
    while (this.#tailBytes > TAIL_BYTES) {
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

/** The end of a text, beginning with a whole character. */
function lastBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  let start = Math.max(0, bytes.length - limit);
  while (isContinuation(bytes[start])) {
    start += 1;
  }
  return bytes.toString('utf8', start);
}

/** Whether a byte stands within a character of UTF-8. */
function isContinuation(byte = 0): boolean {
  return byte >> 6 === 0b10;
}
