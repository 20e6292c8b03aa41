/** Loaded into a CPI process by the benchmark: when it ends, tells on file descriptor 3 its CPU time, its peak memory, and what it wrote to files. */
const { readFileSync, writeSync } = require('node:fs');

process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS, fsWrite } = process.resourceUsage();
  const usage = {
    cpuMs: (userCPUTime + systemCPUTime) / 1000,
    peakKib: peakKib() ?? maxRSS,
    // In blocks, whatever the file system's are.
    writtenBytes: fsWrite * 512,
  };
  writeSync(3, JSON.stringify(usage));
});

/** Linux counts in maxRSS what the parent had when it started this process; VmHWM is this program's alone. */
function peakKib() {
  try {
    const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return peak === undefined ? undefined : Number(peak);
  } catch {
    return undefined;
  }
}
