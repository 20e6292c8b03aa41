import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TEST_CA, TLS_SERVER } from '../lib/support/loopback.ts';
import { startObjectStore } from '../support/object-store.ts';

/** What happens to a download, of an archive that lies somewhere else. */
export type DownloadFault = { breakAfterBytes: number } | { stallAfterBytes: number } | { status: number };

/** Where create_stemcell may find an archive. */
export interface ArchiveSite {
  title: string;
  /** As the method gets it. */
  location: string;
  put(archive: Buffer): Promise<void>;
  /** @param times how many downloads are hit; every one by default. There is none where nothing can break. */
  inject?: (fault: DownloadFault, times?: number) => void;
  /** How often it was read. */
  readings?: () => number;
}

export interface ArchiveSites {
  all: ArchiveSite[];
  /** Sections of the configuration. */
  stemcells: Record<string, unknown>;
  connectionOptions: Record<string, unknown>;
  secrets: string[];
  reset(): void;
  close(): Promise<void>;
}

const KEY = 'images/image';

/** A file, an object of S3, and a file of a web server. */
export async function startArchiveSites(): Promise<ArchiveSites> {
  const folder = await mkdtemp(join(tmpdir(), 'stemcell-test-'));
  const store = await startObjectStore();
  const web = await startWebServer();
  const path = join(folder, 'image');
  return {
    all: [
      { title: 'a file', location: path, put: (archive) => writeFile(path, archive) },
      {
        title: 'an object of S3',
        location: `s3://${store.bucket.name}/${KEY}`,
        put: async (archive) => {
          store.bucket.put(KEY, archive);
        },
        inject: (fault, times) => {
          store.inject({ method: 'GET', key: KEY, fault, ...(times === undefined ? {} : { times }) });
        },
        readings: () => store.requests.filter(({ method, key }) => method === 'GET' && key === KEY).length,
      },
      {
        title: 'a URL',
        location: `${web.url}/image?secret=${web.secret}`,
        put: web.put,
        inject: web.inject,
        readings: web.readings,
      },
    ],
    stemcells: store.properties,
    connectionOptions: { ca_cert: TEST_CA },
    secrets: [...store.secrets, web.secret],
    reset: () => {
      store.reset();
      web.reset();
    },
    close: async () => {
      await store.close();
      await web.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function startWebServer() {
  const secret = 'MARKED-SECRET-url-4711';
  let content: Buffer = Buffer.alloc(0);
  let faults: DownloadFault[] = [];
  let readings = 0;
  const server = createServer(TLS_SERVER, (_, response) => {
    readings += 1;
    serve(response, content, faults.shift());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secret,
    put: async (archive: Buffer) => {
      content = archive;
    },
    inject: (fault: DownloadFault, times = 100) => {
      faults = Array.from({ length: times }, () => fault);
    },
    readings: () => readings,
    reset: () => {
      faults = [];
      readings = 0;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function serve(response: ServerResponse, content: Buffer, fault: DownloadFault | undefined): void {
  if (fault && 'status' in fault) {
    response.writeHead(fault.status).end();
    return;
  }
  response.writeHead(200, { 'content-length': content.length });
  if (!fault) {
    response.end(content);
    return;
  }
  const bytes = 'breakAfterBytes' in fault ? fault.breakAfterBytes : fault.stallAfterBytes;
  response.write(content.subarray(0, bytes), () => {
    if ('breakAfterBytes' in fault) {
      response.destroy();
    }
  });
}
