import { isRecord } from '#lib/json.ts';

const PSEUDO_PARAMETERS = new Map<string, unknown>([
  ['AWS::AccountId', '123456789012'],
  ['AWS::Partition', 'aws'],
  ['AWS::Region', 'eu-central-1'],
  ['AWS::NoValue', undefined],
]);

export interface Template {
  Conditions?: Record<string, unknown>;
  Resources: Record<string, { Type: string; Condition?: string; Properties?: Record<string, unknown> }>;
}

/** A resource as CloudFormation would make it. */
export interface Resource {
  logicalId: string;
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: each type of resource has its own properties.
  properties: any;
}

/** What a template makes: conditions decided, functions resolved. References to resources become `ref:<logical id>`. */
export function resourcesOf(template: Template): Resource[] {
  return Object.entries(template.Resources)
    .filter(([, { Condition: name }]) => name === undefined || condition(name, template))
    .map(([logicalId, { Type: type, Properties: properties = {} }]) => ({
      logicalId,
      type,
      properties: resolved(properties, template),
    }));
}

function condition(name: string, template: Template): boolean {
  if (!template.Conditions || !(name in template.Conditions)) {
    throw new Error(`the template has no condition ${name}`);
  }
  return resolved(template.Conditions[name], template) === true;
}

function resolved(value: unknown, template: Template): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => resolved(item, template)).filter((item) => item !== undefined);
  }
  if (!isRecord(value)) {
    return value;
  }
  const [[name = '', operand] = [], ...others] = Object.entries(value);
  if (others.length === 0 && (name === 'Ref' || name.startsWith('Fn::'))) {
    return intrinsic(name, operand, template);
  }
  const properties = Object.entries(value).map(([key, inner]) => [key, resolved(inner, template)] as const);
  return Object.fromEntries(properties.filter(([, inner]) => inner !== undefined));
}

function intrinsic(name: string, operand: unknown, template: Template): unknown {
  if (name === 'Fn::If' && Array.isArray(operand)) {
    const [test, then, otherwise] = operand;
    return resolved(condition(String(test), template) ? then : otherwise, template);
  }
  const value = resolved(operand, template);
  const list = Array.isArray(value) ? value : [];
  switch (name) {
    case 'Ref':
      return PSEUDO_PARAMETERS.has(String(value)) ? PSEUDO_PARAMETERS.get(String(value)) : `ref:${value}`;
    case 'Fn::Equals':
      return list[0] === list[1];
    case 'Fn::Not':
      return !list[0];
    case 'Fn::Split':
      return String(list[1]).split(list[0]);
    case 'Fn::Join':
      return list[1].join(list[0]);
    case 'Fn::Sub':
      return String(value).replaceAll(/\$\{([\w:]+)\}/g, (_, parameter) =>
        String(intrinsic('Ref', parameter, template)),
      );
    case 'Fn::GetAtt':
      return attribute(list[0], list[1], template);
    default:
      throw new Error(`${name} is not known`);
  }
}

function attribute(logicalId: string, name: string, template: Template): string {
  const resource = template.Resources[logicalId];
  if (!resource) {
    throw new Error(`the template has no resource ${logicalId}`);
  }
  if (name === 'Arn' && resource.Type === 'AWS::Logs::LogGroup') {
    return `arn:aws:logs:eu-central-1:123456789012:log-group:${resource.Properties?.LogGroupName}:*`;
  }
  if (name === 'Arn' && resource.Type === 'AWS::Lambda::Function') {
    return `arn:aws:lambda:eu-central-1:123456789012:function:${resource.Properties?.FunctionName}`;
  }
  return `${name}:${logicalId}`;
}
