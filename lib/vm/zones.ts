import type { CallContext } from '../cpi/call-context.ts';
import { recordFor } from '../cpi/clean-up.ts';
import { isRecord } from '../json.ts';
import { type ErrorRecord, isErrorRecord } from '../lap/lap.ts';
import type { VmPlan } from './vm-plan.ts';

/** Availability zones that are yet to be tried; undefined leaves the choice to Nova. */
export interface ZonesLeft {
  zones: (string | undefined)[];
  /** Of the zone before them, whose server must be gone first. */
  failure?: ErrorRecord;
}

/** Remembers them: a call of many laps would begin anew with all zones in each. */
const ZONES = 'zones';

export function zonesLeft({ zones }: VmPlan, { lap }: CallContext): ZonesLeft {
  const fact = lap.recall(ZONES);
  const { left, failure } = isRecord(fact) ? fact : {};
  const known = Array.isArray(left) ? left.filter((zone) => zones.includes(zone)) : [];
  return known.length === 0 ? { zones } : { zones: known, ...(isErrorRecord(failure) ? { failure } : {}) };
}

/** @param error why the zone before them failed */
export function rememberZones(zones: (string | undefined)[], context: CallContext, error?: unknown): void {
  const failure = error === undefined ? {} : { failure: recordFor(error, context) };
  context.lap.remember(ZONES, { left: zones, ...failure });
}
