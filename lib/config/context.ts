import { isRecord } from '../json.ts';

/** Context keys that the Director sets itself; all others are properties of a CPI config. */
const DIRECTOR_KEYS = new Set(['director_uuid', 'request_id', 'vm']);
const PASSWORD_KEYS = ['username', 'api_key'];
const APPLICATION_CREDENTIAL_KEYS = ['application_credential_id', 'application_credential_secret'];

/** Properties of which a context's choice replaces all. */
const ALTERNATIVES = [
  ['project', 'project_id'],
  ['domain', 'user_domain_name', 'project_domain_name'],
];

type Properties = Record<string, unknown>;

/**
 * Lays the properties of a request's context (the Director's CPI config) over the configured `openstack` section. Scalars and
 * arrays replace, `connection_options` merge key by key, and another choice of credentials, project or domain replaces the
 * configured choice as a whole.
 */
export function mergeContext(properties: unknown, context: Properties): unknown {
  const given = Object.entries(context).filter(([key, value]) => !DIRECTOR_KEYS.has(key) && value !== null);
  if (given.length === 0) {
    return properties;
  }
  const sections = isRecord(properties) ? properties : {};
  const configured = isRecord(sections.openstack) ? sections.openstack : {};
  const overrides = Object.fromEntries(given);
  return { ...sections, openstack: merged(withoutReplaced(configured, overrides), overrides) };
}

function merged(configured: Properties, overrides: Properties): Properties {
  const { connection_options: configuredOptions } = configured;
  const { connection_options: options } = overrides;
  if (!isRecord(configuredOptions) || !isRecord(options)) {
    return { ...configured, ...overrides };
  }
  const present = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
  return { ...configured, ...overrides, connection_options: { ...configuredOptions, ...present } };
}

function withoutReplaced(configured: Properties, overrides: Properties): Properties {
  const isGiven = (key: string) => overrides[key] !== undefined;
  const replaced = [
    ...(APPLICATION_CREDENTIAL_KEYS.some(isGiven) ? PASSWORD_KEYS : []),
    ...(PASSWORD_KEYS.some(isGiven) ? APPLICATION_CREDENTIAL_KEYS : []),
    ...ALTERNATIVES.filter((group) => group.some(isGiven)).flat(),
  ];
  return Object.fromEntries(Object.entries(configured).filter(([key]) => !replaced.includes(key)));
}
