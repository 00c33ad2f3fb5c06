// A reactor in AssemblyScript: greets by the query, with its own allocator and garbage collector inside.
let buffer = new ArrayBuffer(0);
let answer = new ArrayBuffer(0);
let greeted = 0;

export function alloc(size: i32): usize {
  buffer = new ArrayBuffer(size);
  return changetype<usize>(buffer);
}

export function handle_request(at: usize, size: i32): u64 {
  const request = String.UTF8.decodeUnsafe(at, size);
  const line = request.substring(0, request.indexOf("\r\n"));
  const target = line.split(" ")[1];
  if (target == "/throw") throw new Error("told to");
  const query = target.indexOf("?name=");
  const name = query >= 0 ? target.substring(query + 6) : "whoever you are";
  greeted++;
  answer = String.UTF8.encode("Content-Type: text/plain\n\nHello, " + name + ", number " + greeted.toString() + "!\n");
  return (u64(changetype<usize>(answer)) << 32) | u64(answer.byteLength);
}
