import { afterAll, expect } from 'vitest';
import { type CleanUp, faultMatrix, repeatMatrix, type Scenario } from './fault-matrix.ts';
import { faultStage, formOf } from './fault-stage.ts';
import { answer } from './faults.ts';
import { cloudError } from './messages.ts';
import { logIn, lost } from './rows.ts';

const stage = await faultStage();
afterAll(() => stage.close());

function refused(request: string): Pick<CleanUp, 'after' | 'trigger' | 'failure' | 'cause'> {
  return {
    after: `${request} is refused`,
    trigger: () => ({ match: { when: (record) => formOf(record) === request }, fault: answer(400) }),
    failure: cloudError(),
    cause: { request, fault: answer(400) },
  };
}

const addInterface = 'PUT network /routers/{id}/add_router_interface';
const removeInterface = 'PUT network /routers/{id}/remove_router_interface';
const deleteNetwork = 'DELETE network /networks/{id}';

const scenarios: Scenario[] = [
  {
    title: 'create_network, connected to a router',
    call: ({ cloud }) => ({
      method: 'create_network',
      args: [
        {
          type: 'manual',
          range: '10.9.0.0/24',
          gateway: '10.9.0.1',
          cloud_properties: { router_id: cloud.router_id },
        },
      ],
    }),
    rows: [
      logIn,
      { request: 'POST network /networks', kind: 'reconciled' },
      { request: 'POST network /subnets', kind: 'reconciled' },
      // A PUT by name only: a second one is refused.
      { request: addInterface, kind: 'reconciled' },
    ],
    leaves: { network: 1, subnet: 1, port: 1 },
    holds: ({ embedded }, { result, error }) => {
      if (!error) {
        expect(embedded.networks.get(result[0])?.subnets).toHaveLength(1);
      }
    },
    cleanUps: [
      lost('POST network /networks', 'GET network /networks', cloudError(), ['bosh-<id>']),
      // A subnet goes with its network.
      lost('POST network /subnets', 'GET network /subnets', cloudError(), []),
      {
        ...refused('POST network /subnets'),
        requests: [{ request: deleteNetwork, incomplete: ['<id>'] }],
      },
      {
        ...refused(addInterface),
        requests: [
          { request: removeInterface, incomplete: ['router interface of <id>'] },
          { request: deleteNetwork, incomplete: ['<id>'] },
        ],
      },
    ],
  },
];

for (const scenario of scenarios) {
  faultMatrix(stage, scenario);
  repeatMatrix(stage, scenario);
}
