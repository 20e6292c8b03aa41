import { schemas, validators } from '#validators';
import type { ProxySettings } from '../http/proxy.ts';
import { isRecord } from '../json.ts';
import { registryUrl } from '../registry/client.ts';
import { violations } from '../validation/violations.ts';
import { environmentProblems, isHttpUrl } from './urls.ts';

const CREDENTIALS =
  'username and api_key or application_credential_id and application_credential_secret is required';

/**
 * All that is wrong with a configuration, by property, in words that repeat no value.
 * @param environment proxies of the process's environment
 */
export function problemsOf(
  sections: { openstack: Record<string, unknown>; registry?: unknown },
  environment: ProxySettings,
): string[] {
  const { openstack, registry } = sections;
  return [
    ...wrongTypes(sections),
    ...removedProperties(openstack),
    ...urlProblems(openstack),
    ...environmentProblems(environment),
    ...registryProblems(registry),
    ...credentialProblems(openstack),
  ];
}

function urlProblems(openstack: Record<string, unknown>): string[] {
  const { auth_url: authUrl = '' } = openstack;
  const options = openstack.connection_options;
  const { proxy = '' } = isRecord(options) ? options : {};
  const problems: string[] = [];
  if (typeof authUrl === 'string' && !isHttpUrl(authUrl)) {
    problems.push('openstack.auth_url must be a URL');
  }
  if (typeof proxy === 'string' && proxy !== '' && !isHttpUrl(proxy)) {
    problems.push('openstack.connection_options.proxy must be a URL');
  }
  return problems;
}

function registryProblems(registry: unknown): string[] {
  const endpoint = isRecord(registry) ? registry.endpoint : undefined;
  const isWrong = typeof endpoint === 'string' && endpoint !== '' && !isHttpUrl(registryUrl(endpoint));
  return isWrong ? ['registry.endpoint must be a URL'] : [];
}

/** What OpenStack or this CPI no longer has, with what to use instead. */
function removedProperties(openstack: Record<string, unknown>): string[] {
  const problems: string[] = [];
  if (typeof openstack.auth_url === 'string' && openstack.auth_url.includes('/v2.0')) {
    problems.push(
      'openstack.auth_url: Keystone v2.0 is not supported (removed from OpenStack in Queens); use the v3 endpoint and ' +
        'openstack.project, openstack.domain instead of openstack.tenant',
    );
  }
  if (openstack.use_nova_networking === true) {
    problems.push(
      'openstack.use_nova_networking: nova-network is not supported (removed from OpenStack in Rocky); remove the property',
    );
  }
  if (openstack.enable_auto_anti_affinity !== undefined) {
    problems.push(
      "Property 'enable_auto_anti_affinity' is no longer supported. Please remove it from your configuration.",
    );
  }
  return problems;
}

function credentialProblems(openstack: Record<string, unknown>): string[] {
  const password = [openstack.username, openstack.api_key].filter(Boolean).length;
  const application = [openstack.application_credential_id, openstack.application_credential_secret].filter(
    Boolean,
  ).length;
  const isPassword = password === 2 && application === 0;
  const isApplication = application === 2 && password === 0;
  if (!isPassword && !isApplication) {
    return [CREDENTIALS];
  }
  return isPassword ? scopeProblems(openstack) : [];
}

function scopeProblems(openstack: Record<string, unknown>): string[] {
  const problems: string[] = [];
  if (!openstack.domain && !openstack.user_domain_name) {
    problems.push('openstack.domain or openstack.user_domain_name is required');
  }
  if (openstack.project_id) {
    return problems;
  }
  if (!openstack.project) {
    problems.push('openstack.project or openstack.project_id is required');
  } else if (!openstack.domain && !openstack.project_domain_name) {
    problems.push('openstack.domain or openstack.project_domain_name is required');
  }
  return problems;
}

function wrongTypes(sections: unknown): string[] {
  return violations(schemas.configuration, validators.configuration, sections).map(
    ({ path, expected }) => `${path.join('.')} must be ${expected}`,
  );
}
