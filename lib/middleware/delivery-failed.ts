import type { CpiResponse } from '../cpi/response.ts';

/**
 * An event could not be dealt with for now, which its platform is to learn, so that it delivers the event again: Lambda by a
 * function that fails, HTTP by the status.
 */
export class DeliveryFailed extends Error {
  override readonly name = 'DeliveryFailed';
  /** Not a property of its own, or platforms would log it beside the stack. */
  readonly #answer: CpiResponse;

  constructor(answer: CpiResponse) {
    super(answer.error?.message ?? 'the event was not dealt with');
    this.#answer = answer;
    // Nobody but the platform's log is told of an event that failed, and where the error was made tells nothing.
    this.stack = `${this.name}: ${this.message}\n${answer.log}`;
  }

  /** What a caller over HTTP is told. */
  get answer(): CpiResponse {
    return this.#answer;
  }
}
