import type { CloudSettings, Configuration } from '../config/configuration.ts';
import type { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import type { OpenStack } from '../openstack/openstack.ts';
import type { Patience } from '../openstack/wait-for.ts';
import type { Registry, RegistrySettings } from '../registry/client.ts';
import type { CpiRequest } from './request.ts';

/** What a CPI method works with, beside its arguments. */
export interface CallContext {
  request: CpiRequest;
  /** Marks everything that this call creates, so that a repeated call finds it. */
  invocationId: string;
  /** Above 1 when the same call may have created something before. */
  attempt: number;
  /** The time that this attempt has, and what earlier ones handed on. */
  lap: Lap;
  /** How long ago the call began, in milliseconds. */
  elapsedMs: number;
  /** Whether the same attempt may run twice at once. */
  mayBeDeliveredTwice: boolean;
  /** Whether what is under way in the cloud may be this call's own doing. */
  mayHaveBegun: boolean;
  log: Logger;
  cloud: CloudSettings;
  agent: Configuration['agent'];
  openstack: OpenStack;
  patience: Patience;
  registry: {
    settings: RegistrySettings;
    connect: (settings: Required<RegistrySettings>) => Registry;
  };
}
