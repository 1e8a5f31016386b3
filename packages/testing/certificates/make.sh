#!/bin/sh
# Makes the certificates again, good for a hundred years. They are for tests alone: their keys are public.
set -eu
cd "$(dirname "$0")"
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
new_authority() {
  new_key "$1"
  openssl req -x509 -new -key "$1.key" -days 36500 -subj "/O=Conclave/CN=$2" -out "$1.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}
new_certificate() {
  new_key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA authority.crt -CAkey authority.key -CAcreateserial -days 36500 -extfile "$1.ext" -out "$1.crt"
  rm "$1.csr" "$1.ext"
}
new_authority authority 'Authority for tests'
new_authority stranger 'Another authority'
new_certificate server '/O=Conclave/CN=server' 'DNS:localhost,IP:127.0.0.1'
new_certificate client '/O=Conclave/CN=client' 'DNS:client'
new_certificate elsewhere '/O=Conclave/CN=elsewhere' 'DNS:elsewhere.example'
rm -f authority.srl
