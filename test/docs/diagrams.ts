import type { ServiceName } from '../support/cloud.ts';

/** A request as a diagram draws it. Placeholders like `{server}` stand for one id throughout the diagram. */
export interface DrawnRequest {
  service: ServiceName;
  method: string;
  path: string;
}

/** Requests that are sent at the same time, or a single one. */
export type DrawnStep = DrawnRequest[];

const SERVICES: Record<string, ServiceName> = {
  Keystone: 'identity',
  Nova: 'compute',
  Glance: 'image',
  Cinder: 'volume',
  Neutron: 'network',
  Octavia: 'load-balancer',
  Registry: 'registry',
};
const REQUEST = /^CPI->>(\w+): ([A-Z]+) (\/\S+)/;

/** The diagrams of a page by the heading above them. */
export function diagramsOf(markdown: string): Map<string, DrawnStep[]> {
  const diagrams = new Map<string, DrawnStep[]>();
  for (const section of markdown.split(/^##+ /m).slice(1)) {
    const [heading = ''] = section.split('\n');
    const diagram = /```mermaid\n(.*?)```/s.exec(section)?.[1];
    if (diagram !== undefined) {
      diagrams.set(heading, stepsOf(diagram));
    }
  }
  return diagrams;
}

function stepsOf(diagram: string): DrawnStep[] {
  const steps: DrawnStep[] = [];
  const blocks: string[] = [];
  for (const line of diagram.split('\n').map((text) => text.trim())) {
    const [word = ''] = line.split(' ');
    if (['par', 'opt', 'loop'].includes(word)) {
      blocks.push(word);
      if (word === 'par') {
        steps.push([]);
      }
    } else if (word === 'end') {
      blocks.pop();
    }
    const request = requestOf(line);
    if (request && blocks.includes('par')) {
      steps.at(-1)?.push(request);
    } else if (request) {
      steps.push([request]);
    }
  }
  return steps;
}

function requestOf(line: string): DrawnRequest | undefined {
  const [, participant = '', method = '', path = ''] = REQUEST.exec(line) ?? [];
  if (!line.startsWith('CPI->>')) {
    return undefined;
  }
  const service = SERVICES[participant];
  if (service === undefined) {
    throw new Error(`not a request to a service: ${line}`);
  }
  return { service, method, path };
}

/**
 * Requests written as the diagram has them: placeholders for ids, and within a step the diagram's order. What it does not
 * have stays as it is, so that a comparison shows it.
 */
export function drawnAs(steps: DrawnStep[], sent: readonly DrawnRequest[]): DrawnRequest[] {
  const ids = new Map<string, string>();
  const drawn: DrawnRequest[] = [];
  let position = 0;
  for (const step of steps) {
    const together = sent.slice(position, position + step.length);
    position += step.length;
    for (const wanted of step) {
      const index = together.findIndex((request) => isDrawnAs(wanted, request, ids));
      const [found] = together.splice(Math.max(index, 0), 1);
      drawn.push(...(index >= 0 ? [wanted] : plain(found)));
    }
  }
  return [...drawn, ...sent.slice(position).flatMap(plain)];
}

function isDrawnAs(wanted: DrawnRequest, request: DrawnRequest, ids: Map<string, string>): boolean {
  const [names, values] = [wanted.path.split('/'), request.path.split('/')];
  const isSame =
    wanted.service === request.service && wanted.method === request.method && names.length === values.length;
  const found = new Map(ids);
  for (const [index, name] of names.entries()) {
    const value = values[index] ?? '';
    if (!/^\{\w+\}$/.test(name)) {
      if (name !== value) {
        return false;
      }
    } else if ((found.get(name) ?? value) !== value || isTaken(found, name, value)) {
      return false;
    } else {
      found.set(name, value);
    }
  }
  if (isSame) {
    for (const [name, value] of found) {
      ids.set(name, value);
    }
  }
  return isSame;
}

/** Another placeholder stands for that id. */
function isTaken(ids: Map<string, string>, name: string, value: string): boolean {
  return [...ids].some(([other, id]) => other !== name && id === value);
}

function plain(request: DrawnRequest | undefined): DrawnRequest[] {
  return request ? [{ service: request.service, method: request.method, path: request.path }] : [];
}
