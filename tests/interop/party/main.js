// The stock server, unchanged.
export {TinyBasePartyKitServer as default} from 'tinybase/persisters/persister-partykit-server';
