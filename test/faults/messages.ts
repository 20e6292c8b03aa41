import type { Fault } from '../support/cloud.ts';
import { FAULTS, type FaultName, INJECTED, REASONS } from './faults.ts';

/** An error as the Director gets to see it. `<id>`, `<name>` and the like stand for what only a run knows. */
export interface Failure {
  type: string;
  okToRetry: boolean;
  /** `<cause>`: OpenStack's failure in full. `<reason>`: only what OpenStack said, where it said something. */
  message: string;
}

export function cloudError(message = '<cause>'): Failure {
  return { type: 'Bosh::Clouds::CloudError', okToRetry: false, message };
}

export function vmCreationFailed(okToRetry: boolean, message = '<cause>'): Failure {
  return { type: 'Bosh::Clouds::VMCreationFailed', okToRetry, message };
}

const TITLES: Record<string, string> = {
  identity: 'Identity',
  compute: 'Compute',
  image: 'Image',
  volume: 'Volume',
  network: 'Network',
  'load-balancer': 'Load Balancer',
};
const REGISTRY_VERBS: Record<string, string> = { GET: 'read', PUT: 'update', DELETE: 'delete' };
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const PLACEHOLDERS: Record<string, string> = {
  '<id>': UUID,
  '<name>': `vm-${UUID}`,
  '<url>': String.raw`http://\S+`,
  '<path>': String.raw`/\S*`,
  '<words>': String.raw`[^\n]+`,
  '<number>': String.raw`\d+`,
};

/** What the placeholders of a message stand for, under this fault of this request. */
export function causes(
  request: string,
  fault: Fault,
  gaveUpAfter: number | undefined,
): { '<cause>': string; '<reason>': string } {
  const [method = '', service = '', path = ''] = request.split(' ');
  const tail = gaveUpAfter === undefined ? '' : ` (gave up after ${gaveUpAfter} attempts)`;
  if (service === 'registry') {
    const text = `Cannot ${REGISTRY_VERBS[method]} settings for '<name>'`;
    const cause = 'status' in fault ? `${text}, got HTTP ${fault.status}${tail}` : `${text}<words>${tail}`;
    return { '<cause>': cause, '<reason>': cause };
  }
  if ('status' in fault) {
    const reason = `${INJECTED.reason} (request id ${INJECTED.requestId})`;
    const shown = path.replaceAll('{', '<').replaceAll('}', '>');
    return {
      '<cause>':
        `OpenStack API ${method} ${service} <path>${shown} failed with ${fault.status} ${REASONS[fault.status]}: ` +
        `${reason}.\nCheck task debug log for details.${tail}`,
      '<reason>': reason,
    };
  }
  const unreachable = `Unable to connect to the OpenStack ${TITLES[service]} Service API <url>: <words>. Check task debug log for details.${tail}`;
  return { '<cause>': unreachable, '<reason>': unreachable };
}

/** The whole message, and nothing else. */
export function pattern(
  message: string,
  { causes: replaced = {}, incomplete = [] }: { causes?: Record<string, string>; incomplete?: string[] },
): RegExp {
  const tail = incomplete.length > 0 ? ` (cleanup incomplete: ${incomplete.join(', ')})` : '';
  let text = `${message}${tail}`;
  for (const [placeholder, value] of Object.entries(replaced)) {
    text = text.replaceAll(placeholder, () => value);
  }
  let source = text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  for (const [placeholder, value] of Object.entries(PLACEHOLDERS)) {
    source = source.replaceAll(placeholder, () => value);
  }
  return new RegExp(`^${source}$`);
}

export function faultOf(name: FaultName): { fault: Fault; times?: number } {
  return FAULTS[name];
}
