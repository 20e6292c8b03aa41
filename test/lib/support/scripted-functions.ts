import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { functions } from '#functions/index.ts';
import type { CpiResponse } from '#lib/cpi/response.ts';
import type { Limits } from '#lib/invoke/attempts.ts';
import { call } from '#lib/invoke/call.ts';
import { directorRequest } from '../../support/cpi.ts';
import { type Loopback, type Received, startServer } from './loopback.ts';

export interface SentEvent {
  method: string;
  arguments: unknown[];
  invocation: {
    id: string;
    attempt: number;
    lap_ms: number;
    elapsed_ms: number;
    resume: unknown;
    cancel: boolean;
  };
  config: { cloud: { properties: Record<string, unknown> } };
}

/** How a server answers one attempt. */
export type Turn = (response: ServerResponse, event: SentEvent, received: Received) => void;

export interface ScriptedFunctions extends Loopback {
  /** One entry for each attempt that arrived. */
  events: SentEvent[];
  /** When each arrived, in milliseconds since the epoch. */
  times: number[];
  /** Answers the next attempts; the last of these answers all others. */
  plan(...turns: Turn[]): void;
}

/** A server of functions that answer as they are told. */
export async function startScriptedFunctions(options: { tls?: boolean } = {}): Promise<ScriptedFunctions> {
  const events: SentEvent[] = [];
  const times: number[] = [];
  let planned: Turn[] = [];
  const server = await startServer((response, received) => {
    const event: SentEvent = JSON.parse(received.body);
    events.push(event);
    times.push(Date.now());
    const turn = planned.length > 1 ? planned.shift() : planned[0];
    turn?.(response, event, received);
  }, options);
  const plan = (...turns: Turn[]) => {
    planned = turns;
    events.length = 0;
    times.length = 0;
    server.received.length = 0;
  };
  return { ...server, events, times, plan };
}

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Turn =>
  (response) => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

export const result = (value: unknown, log = ''): Turn => json({ result: value, error: null, log });

export const error = (message: string, type = 'Bosh::Clouds::CloudError'): Turn =>
  json({ result: null, error: { type, message, ok_to_retry: false }, log: '' });

export const pending = (resume: object, log = ''): Turn =>
  json({ pending: { reason: 'Server vm-1 to be active', resume }, log });

export const cut: Turn = (response) => {
  response.socket?.destroy();
};

export interface Calls {
  /** A call of the binary, with its configuration in a file. */
  call(
    method: string,
    args: unknown[],
    properties: Record<string, unknown>,
    options?: { stopSignal?: AbortSignal; context?: Record<string, unknown>; limits?: Partial<Limits> },
  ): Promise<{ response: CpiResponse; lines: string[] }>;
  close(): Promise<void>;
}

export async function startCalls(): Promise<Calls> {
  const folder = await mkdtemp(join(tmpdir(), 'cpi-calls-'));
  let files = 0;
  return {
    call: async (method, args, properties, { stopSignal, context = {}, limits } = {}) => {
      files += 1;
      const configPath = join(folder, `cpi-${files}.json`);
      await writeFile(configPath, JSON.stringify({ cloud: { properties } }));
      const lines: string[] = [];
      const request = { ...directorRequest(method, args, { context }), method };
      const response = await call(request, {
        configPath,
        loadFunctions: async () => functions,
        logSink: (line) => lines.push(line),
        ...(stopSignal ? { stopSignal } : {}),
        ...(limits ? { limits } : {}),
      });
      return { response, lines };
    },
    close: () => rm(folder, { recursive: true }),
  };
}
