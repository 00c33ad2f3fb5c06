// Connections between JavaScript peers and ours, both ways round, on loopback.
'use strict'
const test = require('node:test')
const assert = require('node:assert')
const { once } = require('events')
const { createHash } = require('crypto')
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')
const { Daemon, content, contentHash, writeAll } = require('./lib.cjs')

const MEBI = 1 << 20
const SIZE = 100 * MEBI

async function hashOf (stream) {
  const hash = createHash('sha256')
  let bytes = 0
  stream.on('data', (b) => { hash.update(b); bytes += b.length })
  await once(stream, 'end')
  return { sha256: hash.digest('hex'), bytes }
}

for (const firewalled of [false, true]) {
  test(firewalled ? 'both firewalled' : 'an open server', async (t) => {
    const testnet = await createTestnet(10)
    const root = `127.0.0.1:${testnet.bootstrap[0].port}`
    const config = { dht: { nodes: [root], ephemeral: true, ...(firewalled ? { firewalled: true } : { firewalled: false }) } }
    const ours = await Daemon.start(config)
    const js = new DHT({ bootstrap: testnet.bootstrap, host: '127.0.0.1', firewalled })
    t.after(async () => { await ours.stop(); await js.destroy({ force: true }); await testnet.destroy() })

    await t.test('a JavaScript client reaches our server, 100 MiB each way', async () => {
      const { key } = await ours.until('listen')
      const pipe = await ours.pipe()
      const received = pipe.hashed()
      const socket = js.connect(Buffer.from(key, 'hex'))
      socket.on('error', (e) => { throw e })
      const back = hashOf(socket)
      await once(socket, 'open')
      const [opened] = await Promise.all([pipe.opened,
        (async () => { await writeAll(socket, content(SIZE, 1)); socket.end() })()])
      assert.equal(opened.key, socket.publicKey.toString('hex'))
      await writeAll(pipe.socket, content(SIZE, 2))
      pipe.socket.end()
      assert.deepEqual(await received, { sha256: contentHash(SIZE, 1), bytes: SIZE })
      assert.deepEqual(await back, { sha256: contentHash(SIZE, 2), bytes: SIZE })
      const final = await pipe.final
      assert.equal(final.ok, true)
      assert.equal(final.bytes_received, SIZE)
      assert.equal(final.bytes_sent, SIZE)
    })

    await t.test('our client reaches a JavaScript server, 100 MiB each way', async () => {
      const server = js.createServer()
      await server.listen()
      const accepted = once(server, 'connection')
      const pipe = await ours.pipe({ to: server.publicKey.toString('hex') })
      const received = pipe.hashed()
      await pipe.opened
      const [socket] = await accepted
      socket.on('error', () => {})
      const back = hashOf(socket)
      await Promise.all([
        (async () => { await writeAll(pipe.socket, content(SIZE, 3)); pipe.socket.end() })(),
        (async () => { await writeAll(socket, content(SIZE, 4)); socket.end() })()])
      assert.deepEqual(await back, { sha256: contentHash(SIZE, 3), bytes: SIZE })
      assert.deepEqual(await received, { sha256: contentHash(SIZE, 4), bytes: SIZE })
      assert.equal((await pipe.final).ok, true)
      await server.close()
    })

    await t.test('a half that has ended leaves the other open', async () => {
      const server = js.createServer()
      await server.listen()
      const accepted = once(server, 'connection')
      const pipe = await ours.pipe({ to: server.publicKey.toString('hex') })
      let text = ''
      pipe.on('data', (b) => { text += b })
      pipe.socket.end('question')
      const [socket] = await accepted
      socket.on('error', () => {})
      let asked = ''
      socket.on('data', (b) => { asked += b })
      await once(socket, 'end')
      assert.equal(asked, 'question')
      socket.end('answer')
      assert.equal((await pipe.final).ok, true)
      assert.equal(text, 'answer')
      await server.close()
    })

    await t.test('unordered messages go both ways', async () => {
      const server = js.createServer()
      await server.listen()
      const to = server.publicKey.toString('hex')
      const accepted = once(server, 'connection')
      const pipe = await ours.pipe({ to })
      const [socket] = await accepted
      socket.on('error', () => {})
      await pipe.opened
      const there = once(socket, 'message')
      await ours.call('send', { to, text: 'on its own', unordered: true })
      assert.equal((await there)[0].toString(), 'on its own')
      const here = new Promise((resolve) => pipe.on('event', (e) => { if (e.tag === 'message') resolve(e.data) }))
      await socket.send(Buffer.from('and back'))
      assert.equal((await here).text, 'and back')
      pipe.socket.end()
      socket.end()
      await pipe.final
      await server.close()
    })

    await t.test('a peer that went away can be dialed again', async () => {
      const keyPair = DHT.keyPair()
      for (let round = 0; round < 3; round++) {
        const server = js.createServer((s) => { s.on('error', () => {}); s.pipe(s) })
        await server.listen(keyPair)
        const r = await ours.call('connect', { to: keyPair.publicKey.toString('hex') })
        assert.equal(r.ok, true, JSON.stringify(r))
        const sent = await ours.call('send', { to: keyPair.publicKey.toString('hex'), text: 'round ' + round })
        assert.equal(sent.ok, true, JSON.stringify(sent))
        await ours.call('disconnect', { to: keyPair.publicKey.toString('hex') })
        await server.close()
      }
    })

    await t.test('nobody is there: both say so', async () => {
      const nobody = DHT.keyPair().publicKey
      const r = await ours.call('connect', { to: nobody.toString('hex') })
      assert.equal(r.ok, false)
      assert.equal(r.code, 'PEER_NOT_FOUND')
      const d = await ours.call('doctor', { to: nobody.toString('hex') })
      assert.match(d.verdict, /does not listen/)
    })
  })
}
