import { isRecord } from '../json.ts';
import { type Resume, readResume } from '../lap/lap.ts';
import { CpiError, NotSupported } from './errors.ts';

const MAX_API_VERSION = 3;
export type ApiVersion = 1 | 2 | 3;

/** Which attempt of which call this is; made by the binary, absent when anything else invokes a function. */
export interface Invocation {
  /** Marks everything that the call creates. */
  id: string;
  attempt: number;
  /** Longest time of this attempt in milliseconds; undefined: as long as the platform allows. */
  lapMs: number | undefined;
  /** How long ago the first attempt began, in milliseconds. */
  elapsedMs: number;
  /** What an earlier attempt handed on; empty where there was none, or where it was lost. */
  resume: Resume;
  /** The call is to be taken back. */
  isCancelled: boolean;
}

/** A Director's request after its shape was checked. */
export interface CpiRequest {
  method: string;
  arguments: unknown[];
  context: Record<string, unknown>;
  apiVersion: ApiVersion;
  requestId: string | undefined;
  /** Of the VM's stemcell; the Director tells it for some methods only. */
  stemcellApiVersion: number | undefined;
  invocation: Invocation | undefined;
}

/**
 * Checks what every method has in common. Values never appear in a message: they may be secret.
 * @param impliedMethod the method of the function that was invoked
 * @throws {CpiError} naming the field
 */
export function parseRequest(event: unknown, impliedMethod: string): CpiRequest {
  if (!isRecord(event)) {
    throw new CpiError('Invalid request: a JSON object was expected');
  }
  const method = event.method ?? impliedMethod;
  if (typeof method !== 'string' || method === '') {
    throw new CpiError("Invalid request: 'method' must be a string");
  }
  if (method !== impliedMethod) {
    throw new CpiError(`Invalid request: 'method' must be '${impliedMethod}' for this function`);
  }
  if (!Array.isArray(event.arguments)) {
    throw new CpiError("Invalid request: 'arguments' must be an array");
  }
  const context = event.context ?? {};
  if (!isRecord(context)) {
    throw new CpiError("Invalid request: 'context' must be an object");
  }
  return {
    method,
    arguments: event.arguments,
    context,
    apiVersion: apiVersion(event.api_version ?? 1),
    requestId: requestId(context.request_id),
    stemcellApiVersion: stemcellApiVersion(context.vm),
    invocation: invocation(event.invocation),
  };
}

/** For logs, of any request, however malformed. */
export function requestIdOf(event: unknown): string | undefined {
  const context = isRecord(event) ? event.context : undefined;
  return isRecord(context) ? requestId(context.request_id) : undefined;
}

function requestId(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function apiVersion(value: unknown): ApiVersion {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw new CpiError("Invalid request: 'api_version' must be an integer from 1 to 3");
  }
  if (value > MAX_API_VERSION) {
    throw new NotSupported(`CPI API version requested is '${value}', max supported is '${MAX_API_VERSION}'`);
  }
  return value === 1 ? 1 : value === 2 ? 2 : 3;
}

function stemcellApiVersion(vm: unknown): number | undefined {
  if (vm === undefined || vm === null) {
    return undefined;
  }
  const stemcell = isRecord(vm) ? vm.stemcell : undefined;
  const version = isRecord(stemcell) ? stemcell.api_version : undefined;
  if (version === undefined || version === null) {
    return undefined;
  }
  if (typeof version !== 'number' || !Number.isInteger(version)) {
    throw new CpiError("Invalid request: 'context.vm.stemcell.api_version' must be an integer");
  }
  return version;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

function invocation(value: unknown): Invocation | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  if (!isRecord(value) || typeof value.id !== 'string' || !UUID.test(value.id)) {
    throw new CpiError("Invalid request: 'invocation.id' must be a UUID");
  }
  const attempt = value.attempt ?? 1;
  if (typeof attempt !== 'number' || !Number.isInteger(attempt) || attempt < 1) {
    throw new CpiError("Invalid request: 'invocation.attempt' must be an integer from 1");
  }
  const { cancel = false } = value;
  if (typeof cancel !== 'boolean') {
    throw new CpiError("Invalid request: 'invocation.cancel' must be true or false");
  }
  const lapMs = milliseconds(value.lap_ms, 'invocation.lap_ms');
  return {
    id: value.id,
    attempt,
    lapMs: lapMs === 0 ? undefined : lapMs,
    elapsedMs: milliseconds(value.elapsed_ms, 'invocation.elapsed_ms') ?? 0,
    resume: readResume(value.resume),
    isCancelled: cancel,
  };
}

function milliseconds(value: unknown, field: string): number | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new CpiError(`Invalid request: '${field}' must be a number of milliseconds`);
  }
  return value;
}
