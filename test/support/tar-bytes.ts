/** Tars byte by byte, so that they can be wrong as well. */

const BLOCK_BYTES = 512;
/** Two empty blocks. */
export const END_OF_TAR = Buffer.alloc(2 * BLOCK_BYTES);

/** One entry as POSIX describes it: a header block, and the data in whole blocks. */
export function entry(name: string, data: Buffer | string, type = '0'): Buffer {
  const content = Buffer.from(data);
  return Buffer.concat([header(name, content.length, type), content, padding(content.length)]);
}

export function header(name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0, 100);
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** What stands before an entry, and has more to say of it. */
export function pax(records: Record<string, string>, type = 'x'): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest);
    length += `${length + `${length}`.length}`.length;
    return `${length}${rest}`;
  });
  return entry('PaxHeader', lines.join(''), type);
}
