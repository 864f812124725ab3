// The same room on what a Node service would use: `node sockets.mjs socketio|nest|ws`.
// A message is parsed, becomes an event with an id and a time, and goes to everyone in the room.
import { createServer } from 'node:http'

let ids = 0
const event = ({ room, text }) => ({ type: 'message', id: ++ids, room, ts: Date.now(), text })
const say = (port) => console.log(`port ${port}`)
const only = { transports: ['websocket'], perMessageDeflate: false }

const contenders = {
  async socketio() {
    const { Server } = await import('socket.io')
    const http = createServer()
    const io = new Server(http, only)
    io.on('connection', (socket) => {
      socket.join('lobby')
      socket.on('message', (body) => io.to(body.room).emit('event', event(body)))
    })
    http.listen(0, '127.0.0.1', () => say(http.address().port))
  },

  async nest() {
    await import('reflect-metadata')
    const { Module } = await import('@nestjs/common')
    const { NestFactory } = await import('@nestjs/core')
    const { IoAdapter } = await import('@nestjs/platform-socket.io')
    const { MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } =
      await import('@nestjs/websockets')
    class Gateway {
      handleConnection(socket) {
        socket.join('lobby')
      }
      take(body) {
        this.server.to(body.room).emit('event', event(body))
      }
    }
    // What the TypeScript compiler makes of the decorators.
    WebSocketServer()(Gateway.prototype, 'server')
    MessageBody()(Gateway.prototype, 'take', 0)
    const take = Object.getOwnPropertyDescriptor(Gateway.prototype, 'take')
    SubscribeMessage('message')(Gateway.prototype, 'take', take)
    WebSocketGateway(only)(Gateway)
    class Root {}
    Module({ providers: [Gateway] })(Root)
    const app = await NestFactory.create(Root, { logger: false })
    app.useWebSocketAdapter(new IoAdapter(app))
    await app.listen(0, '127.0.0.1')
    say(app.getHttpServer().address().port)
  },

  async ws() {
    const { WebSocketServer } = await import('ws')
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
    server.on('connection', (socket) => {
      socket.on('error', () => socket.terminate())
      socket.on('message', (data) => {
        const out = JSON.stringify(event(JSON.parse(data)))
        for (const member of server.clients) if (member.readyState === 1) member.send(out)
      })
    })
    server.on('listening', () => say(server.address().port))
  },
}

await contenders[process.argv[2]]()
