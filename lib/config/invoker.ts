import { schemas, validators } from '#invoker-validators';
import type { AwsCredentials, AwsIdentity } from '../aws/credentials.ts';
import { CpiError } from '../cpi/errors.ts';
import type { ProxySettings } from '../http/proxy.ts';
import { isRecord } from '../json.ts';
import { violations } from '../validation/violations.ts';
import { certificates } from './certificates.ts';
import { deepFreeze } from './deep-freeze.ts';
import type { InvokerSections } from './schema.ts';
import { stemcellConnection, stemcellProblems } from './stemcells.ts';
import { environmentProblems, isHttpUrl } from './urls.ts';
import { withoutNulls } from './without-nulls.ts';

/** How the binary reaches the functions: validated, complete with defaults, frozen. */
export type InvokerSettings = LocalInvoker | LambdaInvoker | HttpInvoker | QinlingInvoker;

/** In the binary's own process. */
export interface LocalInvoker {
  readonly target: 'local';
  readonly lapMs: undefined;
}

/** What all targets have that are not this process. */
interface RemoteInvoker {
  /** Longest time of one attempt. */
  readonly lapMs: number;
  /** How long an attempt may still be sending after its lap: its longest request. */
  readonly leaseMarginMs: number;
  /** PEM certificates that are trusted beside the system's. */
  readonly ca: string | undefined;
  readonly proxy: ProxySettings;
  /** How to reach the bucket that functions take files from. */
  readonly bucket: { readonly ca: string | undefined; readonly proxy: ProxySettings };
}

export interface LambdaInvoker extends RemoteInvoker, AwsIdentity {
  readonly target: 'lambda';
  /** Undefined: as the AWS SDK finds it, in the environment or the profile. */
  readonly region: string | undefined;
  /** Of anything that speaks Lambda's Invoke API; undefined for AWS itself. */
  readonly endpoint: string | undefined;
  /** A function's name is this and the method in kebab-case; an ARN's beginning is one too. */
  readonly prefix: string;
  readonly qualifier: string | undefined;
}

export interface HttpInvoker extends RemoteInvoker {
  readonly target: 'http';
  /** With `{method}` for the method in kebab-case. */
  readonly url: string | undefined;
  /** Of single methods, instead of the template: a function URL has a host name of its own. */
  readonly urls: Readonly<Record<string, string>>;
  readonly authorization:
    | { readonly kind: 'token'; readonly token: string }
    | ({ readonly kind: 'sigv4'; readonly region: string; readonly service: string } & AwsIdentity)
    | undefined;
}

export interface QinlingInvoker extends RemoteInvoker {
  readonly target: 'qinling';
  /** Id or alias by method. */
  readonly functions: Readonly<Record<string, string>>;
  /** Undefined: as the catalog has it. */
  readonly endpoint: string | undefined;
}

/** As serverless.yml names the functions, unless told otherwise. */
export const DEFAULT_PREFIX = 'bosh-openstack-cpi-';

/** Of the methods' names, for Lambda's limit. */
export const LONGEST_NAME = 'calculate-vm-cloud-properties';
const MAX_NAME_LENGTH = 64;

const LAP_SECONDS = {
  /** NAT gateways and VPC endpoints drop a connection that is silent for 350 s. */
  lambda: 120,
  /** API gateways answer 504 after 29 or 30 s. */
  http: 25,
  /** Qinling stops a function after its own timeout, which can be at most 300 s. */
  qinling: 120,
};
const DEFAULT_REQUEST_SECONDS = 60;
/** A longer timer would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

type Section<K extends 'lambda' | 'http' | 'qinling'> = NonNullable<
  NonNullable<InvokerSections['invoker']>[K]
>;

/**
 * Checks and completes `invoker` of `cloud.properties`, with the context already merged in; the other sections are checked
 * where they are used.
 * @param environment proxies of the process's environment
 * @throws {CpiError} that lists every problem by property
 */
export function parseInvoker(properties: unknown, environment: ProxySettings): InvokerSettings {
  const sections = withoutNulls(properties);
  const record = isRecord(sections) ? sections : {};
  const { invoker = {} } = isValid(record) ? record : {};
  const target = invoker.target ?? 'local';
  const problems = [
    ...wrongTypes(record),
    ...(target === 'local'
      ? []
      : [...environmentProblems(environment), ...stemcellProblems(record.stemcells)]),
    ...(target === 'lambda' ? lambdaProblems(invoker.lambda ?? {}) : []),
    ...(target === 'http' ? httpProblems(invoker.http ?? {}) : []),
    ...(target === 'qinling' ? qinlingProblems(invoker.qinling ?? {}, record.openstack) : []),
  ];
  if (problems.length > 0) {
    throw new CpiError(`Invalid OpenStack cloud properties: ${problems.join('; ')}`);
  }
  if (target === 'local') {
    return Object.freeze({ target, lapMs: undefined });
  }
  const { ca_cert, proxy } = connectionOptions(target === 'qinling' ? {} : (invoker[target] ?? {}));
  const remote: RemoteInvoker = {
    lapMs: milliseconds(invoker.lap_seconds ?? LAP_SECONDS[target]),
    leaseMarginMs: leaseMarginMs(record.openstack),
    ca: certificates(`invoker.${target}`, { ca_cert }).pem,
    proxy: proxy ? { httpProxy: proxy, httpsProxy: proxy } : environment,
    bucket: stemcellConnection(record.stemcells, environment),
  };
  if (target === 'lambda') {
    return deepFreeze({ target, ...remote, ...lambdaInvoker(invoker.lambda ?? {}) });
  }
  if (target === 'http') {
    return deepFreeze({ target, ...remote, ...httpInvoker(invoker.http ?? {}) });
  }
  const { functions = {}, endpoint } = invoker.qinling ?? {};
  return deepFreeze({ target, ...remote, functions: { ...functions }, endpoint: endpoint || undefined });
}

/** A method as names of functions and URLs have it. */
export function kebabCase(method: string): string {
  return method.replaceAll('_', '-');
}

function lambdaInvoker(lambda: Section<'lambda'>): Omit<LambdaInvoker, 'target' | keyof RemoteInvoker> {
  return {
    region: lambda.region || undefined,
    endpoint: lambda.endpoint || undefined,
    prefix: lambda.prefix ?? DEFAULT_PREFIX,
    qualifier: lambda.qualifier || undefined,
    ...awsIdentity(lambda),
  };
}

interface AwsProperties {
  access_key_id?: string;
  secret_access_key?: string;
  session_token?: string;
  profile?: string;
  role_arn?: string;
}

function awsIdentity(properties: AwsProperties): AwsIdentity {
  return { credentials: awsCredentials(properties), roleArn: properties.role_arn || undefined };
}

function awsCredentials(properties: AwsProperties): AwsCredentials | undefined {
  if (properties.access_key_id && properties.secret_access_key) {
    return {
      kind: 'keys',
      accessKeyId: properties.access_key_id,
      secretAccessKey: properties.secret_access_key,
      sessionToken: properties.session_token || undefined,
    };
  }
  return properties.profile ? { kind: 'profile', profile: properties.profile } : undefined;
}

function httpInvoker(http: Section<'http'>): Omit<HttpInvoker, 'target' | keyof RemoteInvoker> {
  const { sigv4, token } = http;
  const signed = sigv4 && {
    kind: 'sigv4' as const,
    region: sigv4.region ?? '',
    service: sigv4.service || 'lambda',
    ...awsIdentity(sigv4),
  };
  return {
    url: http.url || undefined,
    urls: { ...http.urls },
    authorization: signed ?? (token ? { kind: 'token', token } : undefined),
  };
}

function lambdaProblems(lambda: Section<'lambda'>): string[] {
  const problems = connectionProblems('invoker.lambda', lambda);
  if (lambda.endpoint && !isHttpUrl(lambda.endpoint)) {
    problems.push('invoker.lambda.endpoint must be a URL');
  }
  const prefix = lambda.prefix ?? DEFAULT_PREFIX;
  const isArn = /^[\w-]+(:[\w*-]*)+$/.test(prefix);
  const name = isArn ? prefix.slice(prefix.lastIndexOf(':') + 1) : prefix;
  if (!/^[\w-]*$/.test(name)) {
    problems.push('invoker.lambda.prefix must consist of letters, digits, - and _');
  }
  if (name.length + LONGEST_NAME.length > MAX_NAME_LENGTH) {
    const longest = MAX_NAME_LENGTH - LONGEST_NAME.length;
    problems.push(`invoker.lambda.prefix must have at most ${longest} characters: '${LONGEST_NAME}' follows`);
  }
  problems.push(...awsProblems('invoker.lambda', lambda));
  return problems;
}

function awsProblems(path: string, properties: AwsProperties): string[] {
  const problems: string[] = [];
  if (!properties.access_key_id !== !properties.secret_access_key) {
    problems.push(`${path}.access_key_id and ${path}.secret_access_key need each other`);
  }
  if (properties.session_token && !properties.access_key_id) {
    problems.push(`${path}.session_token needs ${path}.access_key_id`);
  }
  if (properties.access_key_id && properties.profile) {
    problems.push(`${path}.access_key_id and ${path}.profile exclude each other`);
  }
  return problems;
}

function httpProblems(http: Section<'http'>): string[] {
  const problems = connectionProblems('invoker.http', http);
  const { url = '', urls = {}, token, sigv4 } = http;
  if (url === '' && Object.keys(urls).length === 0) {
    problems.push("invoker.http.url is required for target 'http'");
  }
  if (url !== '' && !isHttpUrl(url.replaceAll('{method}', 'method'))) {
    problems.push('invoker.http.url must be a URL');
  } else if (url !== '' && !url.includes('{method}')) {
    problems.push('invoker.http.url must contain {method}');
  }
  for (const [method, own] of Object.entries(urls)) {
    if (!isHttpUrl(own)) {
      problems.push(`invoker.http.urls.${method} must be a URL`);
    }
  }
  if (token && sigv4) {
    problems.push('invoker.http.token and invoker.http.sigv4 exclude each other');
  }
  // Of HTTP's own characters, so that no header can be made of it.
  if (token && !/^[\x21-\x7e]+$/.test(token)) {
    problems.push('invoker.http.token must be printable ASCII without spaces');
  }
  if (sigv4 && !sigv4.region) {
    problems.push('invoker.http.sigv4.region is required');
  }
  problems.push(...awsProblems('invoker.http.sigv4', sigv4 ?? {}));
  return problems;
}

function qinlingProblems({ functions, endpoint }: Section<'qinling'>, openstack: unknown): string[] {
  return [
    ...(Object.keys(functions ?? {}).length === 0
      ? ["invoker.qinling.functions is required for target 'qinling'"]
      : []),
    ...(endpoint && !isHttpUrl(endpoint) ? ['invoker.qinling.endpoint must be a URL'] : []),
    ...(isRecord(openstack) ? [] : ["invoker.target 'qinling' needs openstack.* to log in with"]),
  ];
}

interface ConnectionOptions {
  ca_cert?: string;
  proxy?: string;
}

function connectionOptions({ ca_cert = '', proxy = '' }: ConnectionOptions): Required<ConnectionOptions> {
  return { ca_cert, proxy };
}

function connectionProblems(path: string, options: ConnectionOptions): string[] {
  const { ca_cert, proxy } = connectionOptions(options);
  return [
    ...certificates(path, { ca_cert }).problems,
    ...(proxy && !isHttpUrl(proxy) ? [`${path}.proxy must be a URL`] : []),
  ];
}

/** The longest that a request of the function may take in one of its phases. */
function leaseMarginMs(openstack: unknown): number {
  const configured = isRecord(openstack) ? openstack.connection_options : undefined;
  const options = isRecord(configured) ? configured : {};
  const seconds = ['connect_timeout', 'read_timeout', 'write_timeout'].map((name) => {
    const value = options[name];
    return typeof value === 'number' ? value : DEFAULT_REQUEST_SECONDS;
  });
  return milliseconds(Math.max(...seconds));
}

function milliseconds(seconds: number): number {
  return Math.min(seconds * 1000, MAX_TIMER_MS);
}

function wrongTypes(sections: unknown): string[] {
  return violations(schemas.invoker, validators.invoker, sections).map(
    ({ path, expected }) => `${path.join('.')} must be ${expected}`,
  );
}

function isValid(value: unknown): value is InvokerSections {
  return validators.invoker(value);
}
