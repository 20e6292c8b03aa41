import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deployedFunctions, functions } from '#functions/index.ts';
import { type Resource, resourcesOf } from './cloudformation.ts';

const run = promisify(execFile);

const TEMPLATE = '.serverless/cloudformation-template-update-stack.json';
const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/0af3';
/** The longest that leaves room for the longest method. */
const LONG_PREFIX = 'another-foundation-with-a-long-name';
const NETWORK_INTERFACE_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

const kebabCase = (method: string) => method.replaceAll('_', '-');
const names = Object.keys(deployedFunctions).map(kebabCase);
/** What the binary invokes. */
const invoked = [...Object.keys(functions).map(kebabCase), 'stage-stemcell'];

/** Seconds, and MiB. */
const limits: Record<string, [timeout: number, memory: number]> = {
  info: [10, 128],
  'create-stemcell': [900, 1024],
  'delete-stemcell': [180, 512],
  'create-vm': [900, 512],
  'delete-vm': [900, 512],
  'has-vm': [180, 512],
  'reboot-vm': [900, 512],
  'set-vm-metadata': [180, 512],
  'calculate-vm-cloud-properties': [180, 512],
  'configure-networks': [30, 256],
  'create-disk': [900, 512],
  'delete-disk': [900, 512],
  'has-disk': [180, 512],
  'attach-disk': [900, 512],
  'detach-disk': [900, 512],
  'get-disks': [180, 512],
  'resize-disk': [900, 512],
  'update-disk': [900, 512],
  'set-disk-metadata': [180, 512],
  'snapshot-disk': [900, 512],
  'delete-snapshot': [900, 512],
  'create-network': [180, 512],
  'delete-network': [180, 512],
  'stage-stemcell': [180, 256],
  'stemcell-uploaded': [900, 2048],
  'delete-stemcell-image': [180, 512],
};

/** What one `serverless package` would deploy. */
class Stack {
  readonly resources: Resource[];

  constructor(template: string) {
    this.resources = resourcesOf(JSON.parse(template));
  }

  get types(): string[] {
    return [...new Set(this.resources.map(({ type }) => type))].sort();
  }

  all(type: string): Resource[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  get(logicalId: string): Resource {
    const resource = this.resources.find((candidate) => candidate.logicalId === logicalId);
    if (!resource) {
      throw new Error(`no resource ${logicalId}`);
    }
    return resource;
  }

  /** A property of each function, by the file that it runs. */
  functions(property: string): Record<string, unknown> {
    return Object.fromEntries(
      this.all('AWS::Lambda::Function').map(({ properties }) => [
        String(properties.Handler).replace(/^functions\/(.+)\.handler$/, '$1'),
        properties[property],
      ]),
    );
  }

  roles(): Resource[] {
    return Object.values(this.functions('Role')).map((role) => this.get(String(role).replace('Arn:', '')));
  }

  /** All that each function may do, and may not. */
  statements(): Record<string, object[]> {
    return Object.fromEntries(
      Object.entries(this.functions('Role')).map(([name, arn]) => {
        const { properties } = this.get(String(arn).replace('Arn:', ''));
        const shared: string[] = properties.ManagedPolicyArns ?? [];
        const policies = [
          ...properties.Policies,
          ...shared.map((policy) => this.get(policy.replace('ref:', '')).properties),
        ];
        return [name, policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement)];
      }),
    );
  }
}

const each = (value: unknown) => Object.fromEntries(names.map((name) => [name, value]));
const eachBut = (exception: string, value: unknown) => ({ ...each(value), [exception]: undefined });
const mayLog = (functionName: string) => ({
  Effect: 'Allow',
  Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  Resource: `arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/${functionName}:*`,
});
const mayGetParameter = (name: string) => ({
  Effect: 'Allow',
  Action: 'ssm:GetParameters',
  Resource: `arn:aws:ssm:eu-central-1:123456789012:parameter${name}`,
});

const BUCKET = 'arn:aws:s3:::stemcells-of-bosh';
const mayList = { Effect: 'Allow', Action: 's3:ListBucket', Resource: BUCKET };
const may = (action: string, ...keys: string[]) => {
  const resources = keys.map((key) => `${BUCKET}/${key}`);
  return { Effect: 'Allow', Action: `s3:${action}`, Resource: keys.length === 1 ? resources[0] : resources };
};
/** What is allowed on the bucket of stemcells. */
const bucketStatements: Record<string, object[]> = {
  'create-stemcell': [mayList, may('GetObject', '*'), may('PutObject', '*staged/*/image.status.json')],
  'stage-stemcell': [mayList, may('PutObject', '*staged/*/image'), may('DeleteObject', '*staged/*')],
  'stemcell-uploaded': [
    mayList,
    may('GetObject', '*'),
    may('PutObject', '*.status.json', '*light/*light-*.tgz'),
  ],
  'delete-stemcell-image': [
    mayList,
    may('GetObject', '*.status.json'),
    may('DeleteObject', '*.status.json', '*light/*light-*.tgz'),
  ],
};

describe('the CloudFormation template', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = new Stack(await readFile(TEMPLATE, 'utf8'));
  });

  it('has a function for each method, and no other', () => {
    expect(stack.functions('FunctionName')).toEqual(
      Object.fromEntries(names.map((name) => [name, `bosh-openstack-cpi-${name}`])),
    );
  });

  it('runs them with Node.js 24 on arm64', () => {
    expect(stack.functions('Runtime')).toEqual(each('nodejs24.x'));
    expect(stack.functions('Architectures')).toEqual(each(['arm64']));
  });

  it('gives each as much time and memory as its method needs', () => {
    const timeouts = stack.functions('Timeout');
    const memory = stack.functions('MemorySize');

    expect(Object.fromEntries(names.map((name) => [name, [timeouts[name], memory[name]]]))).toEqual(limits);
  });

  it('lets nothing but their callers start them', () => {
    expect(stack.types).toEqual([
      'AWS::IAM::ManagedPolicy',
      'AWS::IAM::Role',
      'AWS::Lambda::Function',
      'AWS::Logs::LogGroup',
      'AWS::S3::Bucket',
      'AWS::S3::BucketPolicy',
    ]);
  });

  it('tells them where their configuration is, and nothing else', () => {
    expect(stack.functions('Environment')).toEqual(
      each({ Variables: { CPI_CONFIG_PARAMETER: '/bosh/openstack-cpi' } }),
    );
  });

  it('gives each a role of its own without a name', () => {
    const roles = stack.roles();

    expect(new Set(roles.map(({ logicalId }) => logicalId)).size).toBe(names.length);
    expect(stack.all('AWS::IAM::Role')).toHaveLength(names.length);
    expect(roles.filter(({ properties }) => 'RoleName' in properties)).toEqual([]);
  });

  it('lets only Lambda take the roles', () => {
    const trusted = stack.roles().map(({ properties }) => properties.AssumeRolePolicyDocument.Statement);

    expect(trusted).toEqual(
      names.map(() => [
        { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
      ]),
    );
  });

  it('lets each write its own log and read the configuration, which info does not need', () => {
    expect(stack.statements()).toEqual(
      Object.fromEntries(
        names.map((name) => [
          name,
          [
            mayLog(`bosh-openstack-cpi-${name}`),
            ...(name === 'info' ? [] : [mayGetParameter('/bosh/openstack-cpi')]),
          ],
        ]),
      ),
    );
  });

  it('keeps the log of each for 30 days', () => {
    const groups = stack.all('AWS::Logs::LogGroup').map(({ properties }) => properties);

    expect(groups).toEqual(
      names.map((name) => ({ LogGroupName: `/aws/lambda/bosh-openstack-cpi-${name}`, RetentionInDays: 30 })),
    );
  });

  it('tags the functions', () => {
    expect(stack.functions('Tags')).toEqual(
      each([
        { Key: 'application', Value: 'bosh-openstack-cpi' },
        { Key: 'stage', Value: 'production' },
      ]),
    );
  });

  it('connects them to no VPC and reserves nothing', () => {
    expect(stack.functions('VpcConfig')).toEqual(eachBut('info', { SecurityGroupIds: [], SubnetIds: [] }));
    expect(stack.functions('ReservedConcurrentExecutions')).toEqual(each(undefined));
  });

  it('has a policy for the Director, which allows to invoke these functions only', () => {
    const { PolicyDocument: document } = stack.get('InvokeFunctions').properties;

    expect(document.Statement).toEqual([
      {
        Effect: 'Allow',
        Action: ['lambda:InvokeFunction'],
        Resource: invoked.map(
          (name) => `arn:aws:lambda:eu-central-1:123456789012:function:bosh-openstack-cpi-${name}`,
        ),
      },
    ]);
  });
});

describe('the CloudFormation template with all parameters', () => {
  let folder: string;
  let stack: Stack;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cpi-package-'));
    for (const name of ['functions', 'lib', 'scripts', 'build', 'node_modules']) {
      await symlink(resolve(name), join(folder, name));
    }
    for (const name of ['package.json', 'serverless.yml']) {
      await cp(name, join(folder, name));
    }
    const parameters = [
      `prefix=${LONG_PREFIX}`,
      'configStore=secret',
      `configKey=${KEY}`,
      'stemcellBucket=stemcells-of-bosh',
      'subnetIds=subnet-a,subnet-b',
      'securityGroupIds=sg-a',
      'concurrency=2',
      'create-vm-concurrency=30',
      'urls=true',
      'logRetentionInDays=7',
    ];
    const options = ['--stage=test', ...parameters.map((parameter) => `--param=${parameter}`)];
    await run('serverless', ['package', ...options], { cwd: folder });
    stack = new Stack(await readFile(join(folder, TEMPLATE), 'utf8'));
  }, 60_000);

  afterAll(() => rm(folder, { recursive: true }));

  it('gives functions names with the prefix, of 64 characters at most', () => {
    const given = stack.functions('FunctionName');

    expect(given).toEqual(Object.fromEntries(names.map((name) => [name, LONG_PREFIX + name])));
    expect(Math.max(...Object.values(given).map((name) => String(name).length))).toBe(64);
  });

  it('connects all but info to the VPC', () => {
    expect(stack.functions('VpcConfig')).toEqual(
      eachBut('info', { SecurityGroupIds: ['sg-a'], SubnetIds: ['subnet-a', 'subnet-b'] }),
    );
  });

  it('lets them read the secret with its key, Lambda, but not their code, connect them, and some use the bucket', () => {
    const configured = [
      mayGetParameter('/aws/reference/secretsmanager/bosh/openstack-cpi'),
      {
        Effect: 'Allow',
        Action: 'secretsmanager:GetSecretValue',
        Resource: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:bosh/openstack-cpi-??????',
      },
      {
        Effect: 'Allow',
        Action: 'kms:Decrypt',
        Resource: KEY,
        Condition: {
          StringEquals: {
            'kms:ViaService': ['ssm.eu-central-1.amazonaws.com', 'secretsmanager.eu-central-1.amazonaws.com'],
          },
        },
      },
      { Effect: 'Allow', Action: NETWORK_INTERFACE_ACTIONS, Resource: '*' },
      {
        Effect: 'Deny',
        Action: NETWORK_INTERFACE_ACTIONS,
        Resource: '*',
        Condition: {
          ArnLike: {
            'lambda:SourceFunctionArn': `arn:aws:lambda:eu-central-1:123456789012:function:${LONG_PREFIX}*`,
          },
        },
      },
    ];

    expect(stack.statements()).toEqual(
      Object.fromEntries(
        names.map((name) => [
          name,
          [
            mayLog(LONG_PREFIX + name),
            ...(bucketStatements[name] ?? []),
            ...(name === 'info' ? [] : configured),
          ],
        ]),
      ),
    );
  });

  it('names the secret, and no secret is in it', () => {
    expect(stack.functions('Environment')).toEqual(
      each({ Variables: { CPI_CONFIG_PARAMETER: '/aws/reference/secretsmanager/bosh/openstack-cpi' } }),
    );
  });

  it('reserves concurrency for each function, and for one of them', () => {
    expect(stack.functions('ReservedConcurrentExecutions')).toEqual({ ...each(2), 'create-vm': 30 });
  });

  it('gives each a URL that wants a signature, open to nobody else', () => {
    const urls = stack.all('AWS::Lambda::Url').map(({ properties }) => properties);

    expect(urls.map(({ TargetFunctionArn }) => TargetFunctionArn)).toEqual(
      names.map((name) => `arn:aws:lambda:eu-central-1:123456789012:function:${LONG_PREFIX}${name}`),
    );
    expect(urls.map(({ AuthType }) => AuthType)).toEqual(names.map(() => 'AWS_IAM'));
    expect(stack.get('InvokeFunctions').properties.PolicyDocument.Statement[0].Action).toEqual([
      'lambda:InvokeFunction',
      'lambda:InvokeFunctionUrl',
    ]);
  });

  it("lets the bucket of this account start the function of its events, and nobody else's", () => {
    const permissions = stack.all('AWS::Lambda::Permission').map(({ properties }) => properties);

    expect(permissions).toEqual([
      {
        FunctionName: `arn:aws:lambda:eu-central-1:123456789012:function:${LONG_PREFIX}stemcell-uploaded`,
        Action: 'lambda:InvokeFunction',
        Principal: 's3.amazonaws.com',
        SourceArn: BUCKET,
        SourceAccount: '123456789012',
      },
    ]);
  });

  it('keeps logs as long as it is told, and tags with the stage', () => {
    const retentions = stack.all('AWS::Logs::LogGroup').map(({ properties }) => properties.RetentionInDays);

    expect(retentions).toEqual(names.map(() => 7));
    expect(stack.functions('Tags')).toEqual(
      each([
        { Key: 'application', Value: 'bosh-openstack-cpi' },
        { Key: 'stage', Value: 'test' },
      ]),
    );
  });
});
