/**
 * Measures the WebAssembly kernels against their slow twins: MB/s of sealing and opening, of
 * payload through the whole of transmitting and receiving (spec 07 section 2.3 has 630 to 930 and
 * 700 to 1,040 of a prototype), and attempts per second of the work function. With `ZT_REFERENCE`
 * set to its program, also the reference's attempts per second, estimated from the time it takes to
 * generate identities (256/17 attempts each on average).
 *
 *     deno run -A tests/bench/kernel_bench.ts [identities of the reference, default 20]
 *
 * @module
 */
import { Block } from "../../ffi/linux/block.ts";
import { hasFastAes, LibcryptoAes } from "../../ffi/linux/libcrypto.ts";
import { noblePrimitives } from "../../lib/crypto/noble.ts";
import type { AesPair } from "../../lib/crypto/primitives.ts";
import { AesKernel } from "../../lib/kernel/aes_kernel.ts";
import { KERNEL_BYTES, packetExports, PacketKernel, WorkKernel } from "../../lib/kernel/mod.ts";
import { type PacketCipher, PacketTwin, workTwin } from "../../lib/kernel/twin.ts";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import { Pipeline } from "./pipeline.ts";

const MEASURE_MS = 300;
const PIPELINE_ROUNDS = 3_000;
const ATTEMPTS_PER_IDENTITY = 256 / 17;

/** Calls per second, over at least {@linkcode MEASURE_MS} after a warm-up. */
function rate(call: () => void): number {
  for (let i = 0; i < 3; i++) call();
  const startMs = performance.now();
  let calls = 0;
  while (performance.now() - startMs < MEASURE_MS) {
    call();
    calls++;
  }
  return calls * 1_000 / (performance.now() - startMs);
}

/** Same, for calls too short to look at the clock each time. */
function rateOfShort(call: () => void): number {
  const batch = 200;
  return batch * rate(() => {
    for (let i = 0; i < batch; i++) call();
  });
}

function packets(cipher: PacketCipher, lengthBytes: number, measure: typeof rate) {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const packet = crypto.getRandomValues(new Uint8Array(lengthBytes));
  const megabytes = (perSecond: number) => perSecond * lengthBytes / 1e6;
  const seal = megabytes(measure(() => cipher.seal(packet, key, true)));
  // Authenticated but not decrypted, the packet stays the same and opens again and again;
  // decryption costs what encryption does.
  cipher.seal(packet, key, true);
  const sealed = packet.slice();
  const open = megabytes(measure(() => {
    packet.set(sealed);
    if (!cipher.open(packet, key, true)) throw new Error("a packet just sealed does not open");
  }));
  return { seal, open };
}

function benchPackets(): void {
  for (const lengthBytes of [91, 1427, 2827]) {
    const fast = packets(new PacketKernel(), lengthBytes, rateOfShort);
    const slow = packets(new PacketTwin(), lengthBytes, rate);
    console.log(
      `${lengthBytes} B: seal ${fast.seal.toFixed(0)} MB/s (twin ${slow.seal.toFixed(1)}), ` +
        `open ${fast.open.toFixed(0)} MB/s (twin ${slow.open.toFixed(1)})`,
    );
  }
}

/**
 * AES-GMAC-SIV beside Salsa20/12 and Poly1305 in the same run: what `cipher: auto` rests on, see
 * `cli/engine/node_settings.ts`.
 */
function benchAes(): void {
  const [k0, k1] = [0, 1].map(() => crypto.getRandomValues(new Uint8Array(32)));
  const fast = new AesKernel(k0, k1);
  const slow = noblePrimitives.aesPair(k0, k1);
  for (const lengthBytes of [91, 1427, 2827]) {
    const aes = aesPackets(fast, lengthBytes, rateOfShort);
    const twin = aesPackets(slow, lengthBytes, rate);
    const salsa = packets(new PacketKernel(), lengthBytes, rateOfShort);
    console.log(
      `${lengthBytes} B, AES-GMAC-SIV: seal ${aes.seal.toFixed(0)} MB/s ` +
        `(twin ${twin.seal.toFixed(1)}), open ${aes.open.toFixed(0)} MB/s ` +
        `(twin ${twin.open.toFixed(1)}); Salsa20/12 is ${(salsa.seal / aes.seal).toFixed(1)} ` +
        `and ${(salsa.open / aes.open).toFixed(1)} times as fast`,
    );
  }
}

function aesPackets(aes: AesPair, lengthBytes: number, measure: typeof rate) {
  const packet = crypto.getRandomValues(new Uint8Array(lengthBytes));
  const megabytes = (perSecond: number) => perSecond * lengthBytes / 1e6;
  const seal = megabytes(measure(() => aes.seal(packet)));
  const sealed = packet.slice();
  const open = megabytes(measure(() => {
    packet.set(sealed);
    if (!aes.open(packet)) throw new Error("a packet just sealed does not open");
  }));
  return { seal, open };
}

/**
 * AES by the system's library beside Salsa20/12, both where the packet lies: what `AES_FROM_BYTES`
 * of `lib/node/publisher.ts` rests on.
 */
function benchLibrary(): void {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const aes = hasFastAes() ? LibcryptoAes.open(new Block(memory.buffer)) : undefined;
  if (!aes) return console.log("libcrypto: none, or no AES instructions");
  const [key, at, slot] = [KERNEL_BYTES, KERNEL_BYTES + 64, 0];
  aes.setKeys(slot, new Uint8Array(32), new Uint8Array(32));
  const salsa = packetExports(memory);
  for (const length of [91, 400, 700, 1_427, 2_827]) {
    const speeds = [
      () => aes.seal(at, length, slot),
      () => void (aes.seal(at, length, slot), aes.open(at, length, slot)),
      () => salsa.seal(at, length, key, 1),
      () => void (salsa.seal(at, length, key, 1), salsa.open(at, length, key, 1)),
    ].map(rateOfShort).map((perSecond) => 1e6 / perSecond);
    const text = [0, 2].map((i) => {
      const [sealUs, bothUs] = speeds.slice(i);
      const openUs = bothUs - sealUs;
      return `seal ${sealUs.toFixed(2)} us (${(length / sealUs).toFixed(0)} MB/s), ` +
        `open ${openUs.toFixed(2)} us (${(length / openUs).toFixed(0)} MB/s)`;
    });
    console.log(`${length} B in place: AES by libcrypto ${text[0]}; Salsa20/12 ${text[1]}`);
  }
}

/** Each round timed alone, best and median told: other load on the machine lengthens some rounds, and shortens none. */
function benchPipeline(): void {
  const pipeline = new Pipeline();
  const transmitMs: number[] = [];
  const receiveMs: number[] = [];
  for (let round = 0; round < PIPELINE_ROUNDS; round++) {
    const startMs = performance.now();
    pipeline.transmit();
    transmitMs.push(performance.now() - startMs);
    pipeline.restore();
    const restoredMs = performance.now();
    pipeline.receive();
    receiveMs.push(performance.now() - restoredMs);
  }
  const speed = (ms: number[]) => {
    ms.sort((a, b) => a - b);
    const [best, median] = [ms[0], ms[ms.length >> 1]]
      .map((each) => (pipeline.payloadBytes / each / 1e3).toFixed(0));
    return `${best} MB/s at best, ${median} median`;
  };
  console.log(
    `super-frame of ${pipeline.payloadBytes} B: transmit ${speed(transmitMs)}; ` +
      `receive ${speed(receiveMs)}`,
  );
}

function benchWork(): void {
  const kernel = new WorkKernel(machinePrimitives.sha512);
  const publicKey = crypto.getRandomValues(new Uint8Array(64));
  const fast = rate(() => kernel.work(publicKey));
  const startMs = performance.now();
  workTwin(machinePrimitives.sha512, publicKey);
  console.log(
    `work: ${fast.toFixed(1)} attempts/s, ${(1_000 / fast).toFixed(2)} ms each ` +
      `(twin ${(performance.now() - startMs).toFixed(0)} ms)`,
  );
}

async function benchReference(program: string, identities: number): Promise<void> {
  const startMs = performance.now();
  for (let i = 0; i < identities; i++) {
    await new Deno.Command(program, { args: ["-i", "generate"], stdout: "null" }).output();
  }
  const eachMs = (performance.now() - startMs) / identities / ATTEMPTS_PER_IDENTITY;
  console.log(
    `reference: ${(1_000 / eachMs).toFixed(1)} attempts/s, ${eachMs.toFixed(2)} ms each, ` +
      `over ${identities} identities`,
  );
}

benchPackets();
benchAes();
benchLibrary();
benchPipeline();
benchWork();
const reference = Deno.env.get("ZT_REFERENCE");
if (reference) await benchReference(reference, Number(Deno.args[0] ?? 20));
