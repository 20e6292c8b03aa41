import { describe, expect, it } from 'vitest';
import { plainLines } from '#lib/operator/progress-display.ts';

describe('plainLines', () => {
  it('tells of progress every five seconds at most, and of everything else at once', () => {
    const written: string[] = [];
    const clock = { ms: 1_000_000 };
    const display = plainLines(
      { write: (text: string | Uint8Array) => written.push(String(text)) > 0 },
      () => clock.ms,
    );
    const at = (seconds: number, percent: number) => {
      clock.ms = 1_000_000 + seconds * 1000;
      const bytes = percent * 1e6;
      display.show({ what: 'main image of a/1', bytes, totalBytes: 1e8, bytesPerSecond: 4_560_000 });
    };

    at(1, 1);
    at(4, 4);
    display.line('warning: something');
    at(5, 5);
    at(9.9, 10);
    at(11, 11);

    expect(written).toEqual([
      'warning: something\n',
      'main image of a/1: 5 % of 100.0 MB, 4.6 MB/s\n',
      'main image of a/1: 11 % of 100.0 MB, 4.6 MB/s\n',
    ]);
  });
});
