import { describe, expect, it } from 'vitest';
import { Logger } from '#lib/log/logger.ts';
import { Redactor } from '#lib/log/redactor.ts';
import { Transcript } from '#lib/log/transcript.ts';

describe('Logger', () => {
  it.each(['debug', 'info', 'warn', 'error'] as const)('writes time, level and request of %s', (level) => {
    const lines: string[] = [];

    new Logger((line) => lines.push(line), { requestId: 'cpi-1' })[level]('method has_vm');

    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      new RegExp(
        `^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z ${level.toUpperCase()} \\[req_id cpi-1\\] method has_vm$`,
      ),
    );
  });

  it('writes no bracket without a request id', () => {
    const lines: string[] = [];

    new Logger((line) => lines.push(line)).info('text');

    expect(lines[0]).toMatch(/Z INFO text$/);
  });

  it('keeps an entry on one line, whatever is in it', () => {
    const lines: string[] = [];

    new Logger((line) => lines.push(line), { requestId: 'a\nb' }).info('one\r\ntwo\n');

    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\[req_id a\\nb\] one\\r\\ntwo\\n$/);
  });

  it('removes secrets, those with line ends too', () => {
    const lines: string[] = [];
    const log = new Logger((line) => lines.push(line), { requestId: 'cpi-1' });

    log.redacting(new Redactor(['hunter\n2'])).warn('it is hunter\n2 or hunter\\n2');

    expect(lines[0]).toMatch(/WARN \[req_id cpi-1\] it is <redacted> or <redacted>$/);
  });
});

describe('Transcript', () => {
  const KIB = 1024;

  it('holds what fits, to the byte', () => {
    const transcript = new Transcript();

    transcript.add('one');
    transcript.add('zwö');

    expect(transcript.toString()).toBe('one\nzwö\n');
  });

  it('is empty without a line', () => {
    expect(new Transcript().toString()).toBe('');
  });

  it('holds the first 16 and the last 48 KiB, and names the bytes dropped between', () => {
    const transcript = new Transcript();
    const lines = Array.from({ length: 2000 }, (_, index) => `${index}`.padStart(99, '.'));

    for (const line of lines) {
      transcript.add(line);
    }

    const text = transcript.toString();
    const [head, dropped, tail] = text.split(/^\.\.\. (\d+) bytes of the log dropped \.\.\.\n/m);
    expect(lines.join('\n').startsWith(`${head}`.trimEnd())).toBe(true);
    expect(lines.join('\n').endsWith(`${tail}`.trimEnd())).toBe(true);
    expect(head?.length).toBeGreaterThan(15.9 * KIB);
    expect(head?.length).toBeLessThanOrEqual(16 * KIB);
    expect(tail?.length).toBeGreaterThan(47.9 * KIB);
    expect(tail?.length).toBeLessThanOrEqual(48 * KIB);
    expect(Number(dropped)).toBe(200_000 - `${head}${tail}`.length);
  });

  it('never grows beyond 64 KiB, even by a single line', () => {
    const transcript = new Transcript();

    for (const size of [10 * KIB, 10 * KIB, 200 * KIB]) {
      transcript.add('ä'.repeat(size / 2));
    }

    const text = transcript.toString();
    const marker = /^\.\.\. (\d+) bytes of the log dropped \.\.\.\n/m.exec(text);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(64 * KIB + 100);
    expect(Buffer.byteLength(text)).toBeGreaterThan(57 * KIB);
    expect(marker).not.toBeNull();
    expect(text).not.toContain('\ufffd');
    expect(Number(marker?.[1]) + Buffer.byteLength(text) - Buffer.byteLength(`${marker?.[0]}`)).toBe(
      220 * KIB + 3,
    );
  });
});
