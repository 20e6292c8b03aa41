import type { WriteStream } from 'node:tty';
import { BoshError } from '../cpi/errors.ts';
import type { OperatorMethod } from '../cpi/methods.ts';
import { defect, failure } from '../cpi/response.ts';
import { type CallOptions, callFunction } from '../invoke/call.ts';
import { isRecord } from '../json.ts';
import { Redactor } from '../log/redactor.ts';
import { type Command, readCommand, USAGE, UsageError } from './command-line.ts';
import { checkLightPath, checkStemcell } from './paths.ts';
import { BAR_COLUMNS, type ProgressDisplay, plainLines, progressBar } from './progress-display.ts';

interface Outputs {
  stdout: WriteStream;
  stderr: WriteStream;
}

type Work = Exclude<Command, { name: 'help' }>;

const FAILED = 1;
const MISUSED = 2;
/** As shells tell what a signal has ended. */
const STOPPED: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const WARNING = /^\S+ WARN (?:\[req_id [^\]]*\] )?/;

/**
 * Does what an operator asks for.
 * @returns the exit status; undefined for arguments without a command, which are not an operator's
 */
export async function operate(
  args: string[],
  outputs: Outputs,
  loadFunctions: CallOptions['loadFunctions'],
): Promise<number | undefined> {
  const { stdout, stderr } = outputs;
  for (const output of [stdout, stderr]) {
    // The work goes on, even if nobody reads of it any more.
    output.on('error', () => {});
  }
  try {
    const command = readCommand(args);
    if (command?.name === 'help') {
      stdout.write(USAGE);
      return 0;
    }
    return command && (await work(command, outputs, loadFunctions));
  } catch (error) {
    if (error instanceof UsageError) {
      stderr.write(`cpi: ${error.message}\n\n${USAGE}`);
      return MISUSED;
    }
    throw error;
  }
}

async function work(
  command: Work,
  { stdout, stderr }: Outputs,
  loadFunctions: CallOptions['loadFunctions'],
): Promise<number> {
  // Some terminals say that they have no columns at all.
  const hasRoom = stderr.isTTY && stderr.columns >= BAR_COLUMNS;
  const display = hasRoom && !command.isVerbose ? progressBar(stderr) : plainLines(stderr);
  const stop = stopSignals(display, command.name);
  process.prependListener('uncaughtException', (error) => {
    display.end();
    process.exit(failed(defect(error.name).message));
  });
  try {
    await prepare(command);
    const response = await callFunction(requestOf(command), {
      configPath: command.configPath,
      loadFunctions,
      logSink: logSink(display, command.isVerbose),
      stopSignal: stop.signal,
      onProgress: display.show,
    });
    display.end();
    if (response.error) {
      return failed(response.error.message);
    }
    stdout.write(resultOf(command, response.result));
    return 0;
  } catch (error) {
    display.end();
    return failed(failure(error instanceof BoshError ? error : defect(error), new Redactor()).error?.message);
  } finally {
    stop.end();
  }

  function failed(message = ''): number {
    stderr.write(`cpi ${command.name}: ${message}\n`);
    return stop.status ?? FAILED;
  }
}

async function prepare(command: Work): Promise<void> {
  if (command.name === 'upload-stemcell') {
    await checkStemcell(command.stemcell);
    await (command.lightPath && checkLightPath(command.lightPath, command.stemcell, command.force));
  }
}

function requestOf(command: Work): { method: OperatorMethod; arguments: unknown[] } {
  return command.name === 'upload-stemcell'
    ? { method: 'upload_stemcell', arguments: [command.stemcell, command.lightPath ?? null] }
    : { method: 'delete_stemcell_image', arguments: [command.image] };
}

function resultOf(command: Work, result: unknown): string {
  const { image_id: imageId, name, version } = isRecord(result) ? result : {};
  if (command.name === 'delete-stemcell-image') {
    return `Image ${imageId} is deleted.\n`;
  }
  const made = `Image ${imageId} of ${name}/${version} is active.\n`;
  return command.lightPath === undefined
    ? `${made}BOSH uses it by a light stemcell, which --light would have written.\n`
    : `${made}Its light stemcell is ${command.lightPath}. Give it to a Director:\n\n  bosh upload-stemcell ${command.lightPath}\n`;
}

/** Lines are shown as they are, or only what an operator should know of. The error at the end is told apart. */
function logSink(display: ProgressDisplay, isVerbose: boolean): (line: string) => void {
  return (line) => {
    if (isVerbose) {
      display.line(line);
    } else if (WARNING.test(line)) {
      display.line(`warning: ${line.replace(WARNING, '')}`);
    }
  };
}

/** The first signal has what was done taken back; who cannot wait for that sends another. */
function stopSignals(display: ProgressDisplay, name: Work['name']) {
  const controller = new AbortController();
  const signals: NodeJS.Signals[] = ['SIGHUP', 'SIGINT', 'SIGTERM'];
  let status: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (status !== undefined) {
      process.exit(status);
    }
    status = STOPPED[signal] ?? FAILED;
    display.end();
    const undoing =
      name === 'upload-stemcell' ? 'removing what was uploaded' : 'ending the requests under way';
    display.line(`cpi ${name}: stopping, ${undoing}; the same signal again leaves it as it is`);
    controller.abort();
  };
  for (const signal of signals) {
    process.on(signal, onSignal);
  }
  return {
    signal: controller.signal,
    get status() {
      return status;
    },
    end: () => {
      for (const signal of signals) {
        process.off(signal, onSignal);
      }
    },
  };
}
