import { CpiError } from '../cpi/errors.ts';
import { isRecord } from '../json.ts';
import { mergeContext } from './context.ts';
import { isHttpUrl } from './urls.ts';
import { withoutNulls } from './without-nulls.ts';

type Properties = Record<string, unknown>;

export interface FunctionProperties {
  /** `cloud.properties` as they apply to this request. */
  properties: Properties;
  /** For the log. */
  warnings: string[];
}

/** Beside `openstack`, what a request may bring; each replaces the function's own section as a whole. */
const SECTIONS = ['agent', 'registry', 'retry_config'];
/** Sections whose secrets reach the cloud, its VMs or a proxy. */
const SENT_SECTIONS = ['agent', 'registry'];
/** Each useless without the other. */
const CREDENTIALS = [
  ['username', 'api_key'],
  ['application_credential_id', 'application_credential_secret'],
];
/** What says more about the credentials. */
const SCOPE = ['tenant', 'project', 'project_id', 'domain', 'user_domain_name', 'project_domain_name'];
/** They decide neither where anything is sent nor who can read it. */
const TIMEOUTS = ['connect_timeout', 'read_timeout', 'write_timeout'];
/** What an option is where it is not set. */
const OPTION_DEFAULTS: Properties = {
  ssl_verify_peer: true,
  ca_cert: '',
  ssl_ca_file: '',
  proxy: '',
  connect_timeout: 60,
  read_timeout: 60,
  write_timeout: 60,
};

/**
 * What applies to a request of a deployed function: the function's own configuration, over it the sections that the binary
 * sends, over those the request's context.
 *
 * Who may invoke a function must not learn its secrets by that. Another Keystone, or another way to it, is accepted only with
 * the caller's own credentials, or where the function's own `allowed_auth_urls` has it; and what else the function keeps
 * secret is not sent to a cloud, or through a proxy, of the caller's choice.
 * @param own `cloud.properties` that the function has itself
 * @param sent `cloud.properties` of the request's `config`
 * @throws {CpiError} that names the property
 */
export function functionProperties(own: unknown, sent: unknown, context: Properties): FunctionProperties {
  const ownSections = record(withoutNulls(own));
  const sentSections = record(withoutNulls(sent));
  const ownOpenstack = record(ownSections.openstack);
  const { allowed_auth_urls: _, ...given } = record(
    withoutNulls(record(mergeContext(sentSections, context)).openstack),
  );

  const { isTrusted, openstack } = isEmpty(ownOpenstack)
    ? { isTrusted: false, openstack: given }
    : mergedOpenstack(ownOpenstack, given);
  const replaced = SECTIONS.filter((name) => isGiven(sentSections[name]));
  const withheld = isTrusted
    ? []
    : SENT_SECTIONS.filter((name) => !replaced.includes(name) && !isEmpty(record(ownSections[name])));
  const kept = Object.entries(ownSections).filter(([name]) => !withheld.includes(name));
  return {
    properties: {
      ...Object.fromEntries(kept),
      ...Object.fromEntries(replaced.map((name) => [name, sentSections[name]])),
      openstack,
    },
    warnings: withheld.map(
      (name) => `the function's own ${name} is not used: the request chose the cloud, or the way to it`,
    ),
  };
}

/** Whether all of the function's own may be sent there, and the section that applies. */
function mergedOpenstack(own: Properties, given: Properties): { isTrusted: boolean; openstack: Properties } {
  const keystone = keystoneOf(own, given);
  const options = changedOptions(own.connection_options, given.connection_options);
  const decisive = options.filter((name) => !TIMEOUTS.includes(name));

  if (hasCredentials(given) && (keystone === undefined || decisive.length > 0)) {
    const foreign = [...CREDENTIALS.flat(), ...SCOPE];
    const rest = Object.entries(own).filter(([name]) => !foreign.includes(name));
    return { isTrusted: false, openstack: merged(Object.fromEntries(rest), given) };
  }
  const isFree = hasCredentials(given) || keystone?.isAllowed;
  const problems = [
    ...(keystone === undefined
      ? [
          "openstack.auth_url must be the function's own or one of its openstack.allowed_auth_urls, " +
            'unless complete credentials come with it',
        ]
      : []),
    ...(isFree ? decisive : options).map(
      (name) =>
        `openstack.connection_options${name && `.${name}`} must be the function's own, ` +
        'unless complete credentials come with it',
    ),
  ];
  if (keystone === undefined || problems.length > 0) {
    throw new CpiError(`Invalid OpenStack cloud properties: ${problems.join('; ')}`);
  }
  // As the function has it written, since a comparison may overlook what a URL parser does not.
  return { isTrusted: true, openstack: { ...merged(own, given), ...keystone.property } };
}

interface Keystone {
  /** To be used instead of what the caller wrote. */
  property: { auth_url?: unknown };
  isAllowed: boolean;
}

/** Undefined: neither the function's own Keystone, nor one that it allows. */
function keystoneOf(own: Properties, given: Properties): Keystone | undefined {
  const allowed: unknown[] = Array.isArray(own.allowed_auth_urls) ? own.allowed_auth_urls : [];
  const url = given.auth_url ?? own.auth_url;
  const match = allowed.find((entry) => isSameKeystone(entry, url));
  if (given.auth_url === undefined) {
    return { property: {}, isAllowed: match !== undefined };
  }
  if (isSameKeystone(own.auth_url, given.auth_url)) {
    return { property: { auth_url: own.auth_url }, isAllowed: match !== undefined };
  }
  return match === undefined ? undefined : { property: { auth_url: match }, isAllowed: true };
}

/** Whatever the case of the host, the version and a slash at the end. */
function isSameKeystone(one: unknown, other: unknown): boolean {
  const identity = keystoneIdentity(one);
  return identity !== undefined && identity === keystoneIdentity(other);
}

/** Undefined for what cannot be compared safely. */
function keystoneIdentity(value: unknown): string | undefined {
  const url = typeof value === 'string' && isHttpUrl(value) ? new URL(value) : undefined;
  if (!url || url.username || url.password || url.search || url.hash) {
    return undefined;
  }
  return `${url.origin}${url.pathname.replace(/\/v3(\/.*)?$/, '').replace(/\/+$/, '')}`;
}

/** Names of the options that would not be as they are; an empty name for options that are none. */
function changedOptions(own: unknown, given: unknown): string[] {
  if (given === undefined) {
    return [];
  }
  if (!isRecord(given)) {
    return [''];
  }
  const configured = record(own);
  return Object.entries(given)
    .filter(([name, value]) => plain(value) !== plain(configured[name] ?? OPTION_DEFAULTS[name]))
    .map(([name]) => name);
}

function plain(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value.trim() : value);
}

/** One pair at least is complete, so that none of the function's own is needed. */
function hasCredentials(given: Properties): boolean {
  return CREDENTIALS.some((pair) =>
    pair.every((name) => typeof given[name] === 'string' && given[name] !== ''),
  );
}

function merged(own: Properties, given: Properties): Properties {
  return record(record(mergeContext({ openstack: own }, given)).openstack);
}

function record(value: unknown): Properties {
  return isRecord(value) ? value : {};
}

/** Something to be checked, whatever it is; an empty section is none. */
function isGiven(section: unknown): boolean {
  return section !== undefined && !(isRecord(section) && isEmpty(section));
}

function isEmpty(value: Properties): boolean {
  return Object.keys(value).length === 0;
}
