import { measured, median, verdict, wallMs } from './measure.ts';

const RUNS = 20;
const TARGET_RATIO = 1.5;
const TARGET_MIB = 100;
const INFO = JSON.stringify({ method: 'info', arguments: [], context: {} });

/** `info` by dist/cpi beside a Node.js that does nothing: the same binary, in turns, so that both see the same machine. */
export async function startup(): Promise<void> {
  const bare: number[] = [];
  const cpi: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    bare.push(await wallMs(process.execPath, ['-e', '0'], ''));
    cpi.push(await wallMs('dist/cpi', [], INFO));
  }
  // The first of each fills the system's caches.
  const bareMs = median(bare.slice(1));
  const cpiMs = median(cpi.slice(1));
  const ratio = cpiMs / bareMs;
  const { peakMib, cpuMs } = await measured('dist/cpi', [], INFO);
  console.log(`Median wall time of ${RUNS} runs each, ${process.version}

  node -e 0       ${bareMs.toFixed(1).padStart(7)} ms
  dist/cpi, info  ${cpiMs.toFixed(1).padStart(7)} ms   CPU ${cpuMs.toFixed(0)} ms, peak memory ${peakMib.toFixed(0)} MiB
  ratio           ${ratio.toFixed(2).padStart(7)}

Targets: ratio up to ${TARGET_RATIO} ${verdict(ratio <= TARGET_RATIO)}, memory up to ${TARGET_MIB} MiB ${verdict(peakMib <= TARGET_MIB)}`);
}
