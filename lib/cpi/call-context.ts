import type { CloudSettings, Configuration } from '../config/configuration.ts';
import type { StemcellSettings } from '../config/stemcells.ts';
import type { HttpDownload } from '../http/transport.ts';
import type { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import type { OpenStack } from '../openstack/openstack.ts';
import type { Patience } from '../openstack/wait-for.ts';
import type { Registry, RegistrySettings } from '../registry/client.ts';
import type { ObjectStore } from '../s3/object-store.ts';
import type { UploadedSoFar } from '../stemcell/upload-progress.ts';
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
  /** Reads what is at a URL, with the certificates and proxies of OpenStack's connections. */
  download: (url: string) => Promise<HttpDownload>;
  /** Of silence, before a transfer is given up, in milliseconds. */
  idleMs: number;
  /** Told of uploads, where somebody watches. */
  onProgress: ((progress: UploadedSoFar) => void) | undefined;
  stemcells: {
    settings: StemcellSettings;
    /**
     * @param bucket another than the configured one, which a deployed function does not open
     * @throws {CpiError} where none is configured
     */
    openStore: (bucket?: string) => Promise<ObjectStore>;
    /** For another attempt that uploads the same, where none would come after this one, in milliseconds. */
    longestWaitMs: number;
  };
  registry: {
    settings: RegistrySettings;
    connect: (settings: Required<RegistrySettings>) => Registry;
  };
}
