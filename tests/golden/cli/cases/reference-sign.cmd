for k in owner id other; do openssl pkey -in $k.pem -pubout -out $k.pub; done
virt-attest reference --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --product Milan snp.xml --output plain.json
virt-attest reference-sign --key owner.pem plain.json --output signed.json
# Ed25519 has one signature for these bytes, and openssl makes the same
python3 -c "import base64,json,sys; d=json.load(open('signed.json')); p=base64.b64decode(d['payload']); t=d['payloadType']; sys.stdout.buffer.write(b'DSSEv1 %d %s %d ' % (len(t), t.encode(), len(p)) + p)" >pae
openssl pkeyutl -sign -inkey owner.pem -rawin -in pae | base64 -w0 | grep -c -F "$(python3 -c "import json; print(json.load(open('signed.json'))['signatures'][0]['sig'])")"
python3 -c "import base64,json,sys; sys.stdout.buffer.write(base64.b64decode(json.load(open('signed.json'))['payload']))" | cmp - plain.json && echo same
virt-attest reference-verify --key owner.pub signed.json | grep -v ^Binding
virt-attest reference-verify --key other.pub signed.json
virt-attest reference-verify signed.json
virt-attest reference-verify --key owner.pub plain.json
# a second signature, over the first
virt-attest reference-sign --key id.pem signed.json --output both.json; virt-attest -q reference-verify --key id.pub both.json | head -2
virt-attest reference-verify --key owner.pub --key id.pub --format json both.json | python3 -c "import json,sys; d=json.load(sys.stdin); print(d['result'], sorted(d)); [print(sorted(s.items())) for s in sorted(d['signatures'], key=lambda s: s['key'])]"
virt-attest reference-sign --key owner.pem - <both.json | cmp - both.json && echo same
virt-attest reference-sign --key owner.pem plain.json --output both.json
# the trusted keys of the configuration
mkdir keys; cp owner.pub keys/owner.pem; chmod 755 keys; chmod 644 keys/owner.pem; printf "[reference]\ntrusted-keys = $PWD/keys\n" >signed.conf; chmod 644 signed.conf
virt-attest --config signed.conf -q reference-verify both.json | head -2
chmod 777 keys; virt-attest --config signed.conf -q reference-verify both.json
# changed after it was signed
sed 's/"sig" : ".\{4\}/"sig" : "AAAA/' signed.json >bad.json; virt-attest reference-verify --key owner.pub bad.json
python3 -c "import base64,json; d=json.load(open('signed.json')); p=base64.b64decode(d['payload']).replace(b'0x30000', b'0x20000'); d['payload']=base64.b64encode(p).decode(); json.dump(d, open('bad.json','w'))"; virt-attest reference-verify --key owner.pub bad.json
python3 -c "import base64,json; d=json.load(open('signed.json')); p=base64.b64decode(d['payload']).replace(b' : ', b': ', 1); d['payload']=base64.b64encode(p).decode(); json.dump(d, open('bad.json','w'))"; virt-attest reference-verify --key owner.pub bad.json
# what is not signed
virt-attest measure --format json snp.xml >shared.json; virt-attest reference-sign --key owner.pem shared.json
virt-attest reference-sign --key owner.pem snp.xml
virt-attest reference-sign plain.json
virt-attest reference-sign --key owner.pem nosuch.json
# keys
openssl genrsa -out rsa.pem 2048 2>/dev/null; virt-attest reference-sign --key rsa.pem plain.json
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem; virt-attest reference-sign --key p256.pem plain.json
openssl pkcs8 -topk8 -passout pass:secret -in owner.pem -out locked.pem; virt-attest reference-sign --key locked.pem plain.json
echo wrong | virt-attest reference-sign --key locked.pem --passphrase-fd 0 plain.json
echo secret | virt-attest reference-sign --key locked.pem --passphrase-fd 0 plain.json | cmp - signed.json && echo same
virt-attest reference-sign --key locked.pem --passphrase-fd 77 plain.json
cp owner.pem open.pem; chmod 640 open.pem; virt-attest reference-sign --key open.pem plain.json
virt-attest reference-sign --key owner.pub plain.json
virt-attest reference-sign --key . plain.json
virt-attest reference-sign --key 'pkcs11:token=t;object=o?pin-value=1234' plain.json
OPENSSL_MODULES=$PWD virt-attest reference-sign --key 'pkcs11:token=t;object=o' plain.json
virt-attest reference-verify --key owner.pem signed.json
# define knows them, too
virt-attest define --print-xml --reference signed.json snp.xml | grep -c attest:measurement
virt-attest define --print-xml --reference signed.json hotplug.xml
virt-attest define --print-xml --sign-key owner.pem snp.xml
virt-attest define --print-xml --reference signed.json --sign-key owner.pem snp.xml
virt-attest define --print-xml --reference signed.json --product Milan snp.xml
# every launch that would be pinned has to be in the document
virt-attest reference --cpu EPYC-Milan host-model.xml --output milan.json
virt-attest define --print-xml --reference milan.json host-model.xml | grep -c attest:measurement
virt-attest define --print-xml --reference milan.json --cpu EPYC-Milan,EPYC-Genoa host-model.xml
# an ID block that is made now has signatures that no document can know
virt-attest define --print-xml --reference signed.json --id-key id.pem snp.xml 2>&1 | grep -v "was absent"
