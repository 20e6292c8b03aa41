import type { WriteStream } from 'node:tty';
import { progress } from '@clack/prompts';
import {
  describeAmount,
  describeProgress,
  percentOf,
  type UploadedSoFar,
} from '../stemcell/upload-progress.ts';

/** Shows people how far something is. */
export interface ProgressDisplay {
  show(soFar: UploadedSoFar): void;
  /** A line of its own. */
  line(text: string): void;
  end(): void;
}

/** What text is written to: a terminal, a file, a pipe. */
type TextOutput = Pick<WriteStream, 'write'> & { isTTY?: boolean };

/** Of a terminal in which the bar and what it tells stand in one line. */
export const BAR_COLUMNS = 80;
const BAR_SIZE = 25;
const LINE_EVERY_MS = 5000;
const CLEAR_LINE = '\r\u001b[K';

/** A line from time to time, for what is read later, or by programs. */
export function plainLines(output: TextOutput, now: () => number = Date.now): ProgressDisplay {
  let shownAt = now();
  const line = (text: string) => output.write(`${text}\n`);
  return {
    show: (soFar) => {
      if (now() - shownAt >= LINE_EVERY_MS) {
        shownAt = now();
        line(describeProgress(soFar));
      }
    },
    line,
    end: () => {},
  };
}

/** A bar at the lower end of a terminal. It begins with what is shown first. */
export function progressBar(output: WriteStream): ProgressDisplay {
  let bar: ReturnType<typeof progress> | undefined;
  let shownPercent = 0;
  let hasEnded = false;
  const begin = (message: string) => {
    const begun = progress({
      max: 100,
      size: BAR_SIZE,
      indicator: 'timer',
      withGuide: false,
      cancelMessage: 'Stopping',
      output,
    });
    withoutKeyboard(() => begun.start(message));
    return begun;
  };
  return {
    show: (soFar) => {
      if (hasEnded) {
        return;
      }
      bar ??= begin(describeAmount(soFar));
      const percent = percentOf(soFar);
      bar.advance(percent - shownPercent, describeAmount(soFar));
      shownPercent = percent;
    },
    line: (text) => output.write(`${bar ? CLEAR_LINE : ''}${text}\n`),
    end: () => {
      hasEnded = true;
      bar?.clear();
      bar = undefined;
    },
  };
}

/**
 * The bar reads the keyboard, and ends the process itself at Ctrl-C, which is no signal then; in the background, reading would
 * stop it. It is to get nothing.
 */
function withoutKeyboard(start: () => void): void {
  const { stdin } = process;
  if (stdin.isTTY) {
    stdin.setRawMode = () => stdin;
  }
  start();
  stdin.pause();
}
