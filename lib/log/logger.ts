import { Redactor } from './redactor.ts';

/** Takes one finished line, without its line end. */
export type LogSink = (line: string) => void;

type Level = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

/**
 * Writes `<ISO time> <LEVEL> [req_id <id>] <text>`, one physical line per entry and free of secrets. `[req_id …]` is what
 * operators search a Director's task log for.
 */
export class Logger {
  readonly #sink: LogSink;
  readonly #requestId: string | undefined;
  readonly #redactor: Redactor;

  constructor(sink: LogSink, options: { requestId?: string | undefined; redactor?: Redactor } = {}) {
    this.#sink = sink;
    this.#requestId = options.requestId;
    this.#redactor = options.redactor ?? new Redactor();
  }

  /** The same log, without the given secrets. */
  redacting(redactor: Redactor): Logger {
    return new Logger(this.#sink, { requestId: this.#requestId, redactor });
  }

  get redactor(): Redactor {
    return this.#redactor;
  }

  debug(text: string): void {
    this.#write('DEBUG', text);
  }

  info(text: string): void {
    this.#write('INFO', text);
  }

  warn(text: string): void {
    this.#write('WARN', text);
  }

  error(text: string): void {
    this.#write('ERROR', text);
  }

  #write(level: Level, text: string): void {
    const request = this.#requestId === undefined ? '' : ` [req_id ${this.#requestId}]`;
    const line = `${new Date().toISOString()} ${level}${request} ${this.#redactor.text(text)}`;
    this.#sink(line.replaceAll('\r', '\\r').replaceAll('\n', '\\n'));
  }
}
