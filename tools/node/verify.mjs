// Verifies a Sigstore bundle with sigstore-js, offline: node verify.mjs TRUSTED_ROOT BUNDLE IDENTITY ISSUER. It decides nothing by itself.
import { readFileSync } from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const [root, file, identity, issuer] = process.argv.slice(2);
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
try {
  const trust = toTrustMaterial(TrustedRoot.fromJSON(read(root)));
  // One log entry, one certificate timestamp: the defaults of `sigstore verify`; and the timestamp of an authority.
  const verifier = new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 2 });
  const signer = verifier.verify(toSignedEntity(bundleFromJSON(read(file))), {
    subjectAlternativeName: identity,
    extensions: { issuer },
  });
  console.log(`verified: ${signer.identity?.subjectAlternativeName}`);
} catch (error) {
  console.error(`refused: ${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
}
