import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import type { Patience } from '../wait-for.ts';

export interface VolumeAttachment {
  volumeId: string;
  /** As the hypervisor names it, such as `/dev/vdb`; null while Nova does not know. */
  device: string | null;
  /** Reported from microversion 2.79 on. */
  delete_on_termination?: boolean;
}

/** https://docs.openstack.org/api-ref/compute/#servers-with-volume-attachments-servers-os-volume-attachments */
export class VolumeAttachments {
  readonly #nova: ServiceClient;
  readonly #patience: Patience;

  constructor(nova: ServiceClient, patience: Patience) {
    this.#nova = nova;
    this.#patience = patience;
  }

  async list(serverId: string): Promise<VolumeAttachment[]> {
    const answer = await this.#nova.get<{ volumeAttachments: VolumeAttachment[] }>(
      path`/servers/${serverId}/os-volume_attachments`,
    );
    return answer.volumeAttachments;
  }

  /** @param device the name asked for; hypervisors may choose another, which the result shows */
  async create(serverId: string, volumeId: string, device: string): Promise<VolumeAttachment> {
    return sendOnce(
      {
        what: `volume ${volumeId} to be attached`,
        send: async () => {
          const { volumeAttachment } = await this.#nova.post<{ volumeAttachment: VolumeAttachment }>(
            path`/servers/${serverId}/os-volume_attachments`,
            { volumeAttachment: { volumeId, device } },
          );
          return volumeAttachment;
        },
        effect: async () =>
          (await this.list(serverId)).find((attachment) => attachment.volumeId === volumeId),
      },
      this.#patience,
    );
  }

  async delete(serverId: string, volumeId: string): Promise<void> {
    await this.#nova.delete(path`/servers/${serverId}/os-volume_attachments/${volumeId}`);
  }
}
