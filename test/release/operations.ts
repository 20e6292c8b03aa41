import { isRecord } from '#lib/json.ts';

/** Of an ops file, as the BOSH CLI reads it. */
export interface Operation {
  type: string;
  path: string;
  value?: unknown;
}

/** One part of a path: a key, an item by one of its properties or by its position, or the place behind the last item. */
interface Step {
  text: string;
  /** With this step or one before it marked by `?`: what is missing is made, or need not be removed. */
  isOptional: boolean;
  /** Up to here, for messages. */
  path: string;
}

export function isOperations(content: unknown): content is Operation[] {
  return (
    Array.isArray(content) &&
    content.every(
      (operation) =>
        isRecord(operation) && typeof operation.type === 'string' && typeof operation.path === 'string',
    )
  );
}

/**
 * A document after operations, in the way of `bosh interpolate -o`.
 * @throws where a path leads nowhere
 */
export function operated(document: unknown, operations: readonly Operation[]): unknown {
  return operations.reduce((result, operation) => {
    if (operation.type !== 'replace' && operation.type !== 'remove') {
      throw new Error(`Unknown operation '${operation.type}'`);
    }
    return changed(result, stepsOf(operation.path), operation);
  }, document);
}

function stepsOf(path: string): Step[] {
  const parts = path.split('/').slice(1);
  const firstOptional = parts.findIndex((part) => part.endsWith('?'));
  return parts.map((part, index) => ({
    text: part.replace(/\?$/, ''),
    isOptional: firstOptional !== -1 && index >= firstOptional,
    path: `/${parts.slice(0, index + 1).join('/')}`,
  }));
}

function changed(node: unknown, [step, ...rest]: Step[], operation: Operation): unknown {
  if (step === undefined) {
    return operation.value;
  }
  const isList = step.text === '-' || step.text.includes('=') || /^\d+$/.test(step.text);
  return isList
    ? changedList(node ?? [], step, rest, operation)
    : changedMap(node ?? {}, step, rest, operation);
}

function changedMap(node: unknown, step: Step, rest: Step[], operation: Operation): unknown {
  if (!isRecord(node)) {
    throw new Error(`Expected to find a map at path '${step.path}'`);
  }
  const { [step.text]: inner, ...others } = node;
  if (inner === undefined && !step.isOptional) {
    const keys = Object.keys(node).join(', ');
    throw new Error(
      `Expected to find a map key '${step.text}' for path '${step.path}' (found map keys: ${keys})`,
    );
  }
  if (operation.type === 'remove' && (inner === undefined || rest.length === 0)) {
    return others;
  }
  return { ...node, [step.text]: changed(inner, rest, operation) };
}

function changedList(node: unknown, step: Step, rest: Step[], operation: Operation): unknown {
  if (!Array.isArray(node)) {
    throw new Error(`Expected to find an array at path '${step.path}'`);
  }
  const [index, made] = positionOf(node, step);
  if (operation.type === 'remove' && (index === node.length || rest.length === 0)) {
    return node.filter((_, position) => position !== index);
  }
  return node.toSpliced(index, 1, changed(node[index] ?? made, rest, operation));
}

/** Where the item is, or is to be, and what it begins with where it is made. */
function positionOf(node: unknown[], step: Step): [index: number, made: unknown] {
  if (step.text === '-') {
    return [node.length, undefined];
  }
  const [name = '', value] = step.text.split('=');
  if (value === undefined) {
    if (Number(name) >= node.length) {
      throw new Error(`Expected to find array index '${name}' but found array of length '${node.length}'`);
    }
    return [Number(name), undefined];
  }
  const found = node.filter((item) => isRecord(item) && item[name] === value);
  if (found.length === 1) {
    return [node.indexOf(found[0]), undefined];
  }
  if (found.length === 0 && step.isOptional) {
    return [node.length, { [name]: value }];
  }
  throw new Error(
    `Expected to find exactly one matching array item for path '${step.path}' but found ${found.length}`,
  );
}

/**
 * A document with `((name))` replaced by values.
 * @throws with the names that have no value
 */
export function interpolated(document: unknown, values: Record<string, unknown>): unknown {
  const missing = [...variablesOf(document)].filter((name) => !(name in values));
  if (missing.length > 0) {
    throw new Error(`Expected to find variables: ${missing.join(', ')}`);
  }
  return withValues(document, values);
}

export function variablesOf(document: unknown): Set<string> {
  return new Set([...JSON.stringify(document).matchAll(/\(\(([\w-]+)\)\)/g)].map(([, name = '']) => name));
}

function withValues(node: unknown, values: Record<string, unknown>): unknown {
  if (typeof node === 'string') {
    const [, whole] = /^\(\(([\w-]+)\)\)$/.exec(node) ?? [];
    return whole !== undefined
      ? values[whole]
      : node.replaceAll(/\(\(([\w-]+)\)\)/g, (_, name) => String(values[name]));
  }
  if (Array.isArray(node)) {
    return node.map((item) => withValues(item, values));
  }
  return isRecord(node)
    ? Object.fromEntries(Object.entries(node).map(([name, value]) => [name, withValues(value, values)]))
    : node;
}
