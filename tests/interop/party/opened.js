import {TinyBasePartyKitServer} from 'tinybase/persisters/persister-partykit-server';

// Gives a server one more path, `/pairs`, through which a test sees the room's durable storage: GET lists every pair, PUT
// puts those of its JSON body.
export const open = (Server) =>
  class extends Server {
    async onRequest(request) {
      if (!new URL(request.url).pathname.endsWith('/pairs')) {
        return await super.onRequest(request);
      }
      const {storage} = this.party;
      if (request.method == 'PUT') {
        for (const [key, value] of Object.entries(await request.json())) {
          await storage.put(key, value);
        }
      }
      return new Response(JSON.stringify([...(await storage.list())]));
    }
  };

export default class extends open(TinyBasePartyKitServer) {}
