import { schemas, validators } from '#validators';
import { CpiError } from '../cpi/errors.ts';
import type { ConnectionSettings } from '../http/connection-settings.ts';
import type { ProxySettings } from '../http/proxy.ts';
import type { RetryPolicy } from '../http/retry.ts';
import { isRecord } from '../json.ts';
import type { MigrationPolicy } from '../openstack/cinder/volumes.ts';
import type { EndpointInterface } from '../openstack/keystone/catalog.ts';
import type { Credentials } from '../openstack/keystone/credentials.ts';
import type { SessionOptions } from '../openstack/session.ts';
import type { PatienceSettings } from '../openstack/wait-for.ts';
import type { RegistrySettings } from '../registry/client.ts';
import { certificates } from './certificates.ts';
import { deepFreeze } from './deep-freeze.ts';
import { problemsOf } from './problems.ts';
import type { ConfigurationSections } from './schema.ts';
import { type StemcellSettings, stemcellProblems, stemcellSettings } from './stemcells.ts';
import { withoutNulls } from './without-nulls.ts';

/** What the CPI is told once per invocation: validated, complete with defaults, frozen. */
export interface Configuration {
  readonly session: SessionOptions;
  readonly connection: ConnectionSettings;
  readonly retry: RetryPolicy;
  readonly patience: PatienceSettings;
  readonly cloud: CloudSettings;
  /** Undefined values are those that are not configured. */
  readonly registry: RegistrySettings;
  /** Merged into the settings of every agent. */
  readonly agent: Readonly<Record<string, unknown>>;
  readonly stemcells: StemcellSettings;
  /** What an operator should know about the configuration, for the log. */
  readonly warnings: readonly string[];
  /** Properties that nothing reads. */
  readonly ignored: readonly string[];
}

/** How VMs, disks and stemcells are made. */
export interface CloudSettings {
  readonly defaultKeyName: string | undefined;
  readonly defaultSecurityGroups: readonly string[];
  readonly defaultVolumeType: string | undefined;
  readonly bootFromVolume: boolean;
  readonly configDrive: 'disk' | 'cdrom' | undefined;
  readonly useDhcp: boolean;
  readonly ignoreServerAvailabilityZone: boolean;
  readonly humanReadableVmNames: boolean;
  readonly stemcellPublicVisibility: boolean;
  readonly maxDiskSizeMib: number | undefined;
  readonly retypeMigrationPolicy: MigrationPolicy;
}

type OpenStackSection = ConfigurationSections['openstack'];

const DEFAULT_IDLE_SECONDS = 60;
/** A longer timer would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_RESENDS = 2;

/**
 * Checks and completes `cloud.properties`, with the context already merged in.
 * @param environment proxies of the process's environment
 * @throws {CpiError} that lists every problem by property
 */
export function parseConfiguration(properties: unknown, environment: ProxySettings): Configuration {
  const sections = withoutNulls(properties);
  if (!hasOpenStack(sections)) {
    throw invalid(["No 'openstack' properties specified."]);
  }
  const ca = certificates('openstack.connection_options', sections.openstack.connection_options);
  const problems = [
    ...problemsOf(sections, environment),
    ...ca.problems,
    ...stemcellProblems(sections.stemcells),
  ];
  if (problems.length > 0 || !isValid(sections)) {
    throw invalid(problems);
  }
  const { openstack } = sections;
  return deepFreeze({
    session: {
      authUrl: keystoneV3Url(openstack.auth_url ?? ''),
      credentials: credentials(openstack),
      region: openstack.region || undefined,
      endpointInterface: endpointInterface(openstack.endpoint_type),
    },
    connection: connection(openstack, ca.pem, environment),
    retry: retryPolicy(sections),
    patience: {
      timeoutMs: Number(openstack.state_timeout ?? 300) * 1000,
      pollIntervalMs: Number(openstack.wait_resource_poll_interval ?? 5) * 1000,
      resends: Math.min(MAX_RESENDS, retryPolicy(sections).maxRetries),
    },
    cloud: cloudSettings(openstack),
    registry: sections.registry ?? {},
    agent: sections.agent ?? {},
    stemcells: stemcellSettings(sections.stemcells ?? {}, environment),
    warnings: warnings(openstack),
    ignored: ignoredKeys(openstack),
  });
}

function cloudSettings(openstack: OpenStackSection): CloudSettings {
  return {
    defaultKeyName: openstack.default_key_name || undefined,
    defaultSecurityGroups: openstack.default_security_groups ?? [],
    defaultVolumeType: openstack.default_volume_type || undefined,
    bootFromVolume: openstack.boot_from_volume ?? false,
    configDrive: openstack.config_drive,
    useDhcp: openstack.use_dhcp ?? true,
    ignoreServerAvailabilityZone: openstack.ignore_server_availability_zone ?? false,
    humanReadableVmNames: openstack.human_readable_vm_names ?? false,
    stemcellPublicVisibility: openstack.stemcell_public_visibility ?? false,
    maxDiskSizeMib: openstack.max_disk_size,
    retypeMigrationPolicy: openstack.retype_migration_policy ?? 'on-demand',
  };
}

function retryPolicy(sections: ConfigurationSections): RetryPolicy {
  const configured = sections.retry_config?.default;
  return {
    maxRetries: configured?.max_attempts ?? 10,
    maxPauseMs: (configured?.sleep_duration ?? 3) * 1000,
    maxRetryAfterMs: Math.min(Number(sections.openstack.state_timeout ?? 300) * 1000, MAX_TIMER_MS),
  };
}

function connection(
  openstack: OpenStackSection,
  ca: string | undefined,
  environment: ProxySettings,
): ConnectionSettings {
  const options = openstack.connection_options ?? {};
  const idleMs = (seconds = DEFAULT_IDLE_SECONDS) => Math.min(seconds * 1000, MAX_TIMER_MS);
  return {
    connectTimeoutMs: idleMs(options.connect_timeout),
    readTimeoutMs: idleMs(options.read_timeout),
    writeTimeoutMs: idleMs(options.write_timeout),
    verifyPeer: options.ssl_verify_peer ?? true,
    ca,
    proxy: options.proxy ? { httpProxy: options.proxy, httpsProxy: options.proxy } : environment,
  };
}

function credentials(openstack: OpenStackSection): Credentials {
  const { application_credential_id: id, application_credential_secret: secret } = openstack;
  if (id && secret) {
    return { kind: 'application_credential', id, secret };
  }
  const domain = openstack.domain ?? '';
  return {
    kind: 'password',
    username: openstack.username ?? '',
    password: openstack.api_key ?? '',
    userDomain: openstack.user_domain_name || domain,
    project: openstack.project_id
      ? { id: openstack.project_id }
      : { name: openstack.project ?? '', domain: openstack.project_domain_name || domain },
  };
}

function endpointInterface(type: OpenStackSection['endpoint_type'] = 'publicURL'): EndpointInterface {
  return type.startsWith('public') ? 'public' : type.startsWith('internal') ? 'internal' : 'admin';
}

/** A URL without version is taken as v3. */
function keystoneV3Url(authUrl: string): string {
  return `${authUrl.replace(/\/v3(\/.*)?$/, '').replace(/\/+$/, '')}/v3`;
}

function warnings(openstack: OpenStackSection): string[] {
  const texts: string[] = [];
  if (openstack.tenant !== undefined) {
    texts.push('openstack.tenant is ignored: Keystone v3 has projects, see openstack.project');
  }
  if (openstack.connection_options?.ssl_verify_peer === false) {
    texts.push('openstack.connection_options.ssl_verify_peer is false: certificates are not verified');
  }
  return texts;
}

function ignoredKeys(openstack: OpenStackSection): string[] {
  const known = schemas.configuration.properties?.openstack?.properties ?? {};
  const knownOptions = known.connection_options?.properties ?? {};
  const options = openstack.connection_options ?? {};
  return [
    ...Object.keys(openstack).filter((key) => !(key in known)),
    ...Object.keys(options)
      .filter((key) => !(key in knownOptions))
      .map((key) => `connection_options.${key}`),
  ];
}

function invalid(problems: string[]): CpiError {
  return new CpiError(`Invalid OpenStack cloud properties: ${problems.join('; ')}`);
}

function hasOpenStack(
  value: unknown,
): value is { openstack: Record<string, unknown>; registry?: unknown; stemcells?: unknown } {
  return isRecord(value) && isRecord(value.openstack) && Object.keys(value.openstack).length > 0;
}

function isValid(value: unknown): value is ConfigurationSections {
  return validators.configuration(value);
}
